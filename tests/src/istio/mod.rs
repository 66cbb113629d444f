//! Istio: its control plane and its proxies as child processes, on free ports, with
//! [`FakeKubernetes`](crate::kubernetes::FakeKubernetes) in the place of a cluster.

pub mod admission;
pub mod istiod;
pub mod proxy;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::go;
use crate::workspace::made_from;

const MODULE: &str = "istio.io/istio";
/// A commit's version, and the newest that there is: Istio tags its releases in a way that Go does not take for versions.
const VERSION: &str = "v0.0.0-20260827124520-eed52ebb66ad";

/// Istio's programs.
#[derive(Debug)]
pub struct Programs {
    discovery: PathBuf,
    agent: PathBuf,
    /// Istio's source.
    module: PathBuf,
    /// Envoy.
    envoy: PathBuf,
}

impl Programs {
    /// Builds them on first use, which takes minutes. None: there is no Go.
    pub fn prepare(envoy: &Path) -> Result<Option<Self>> {
        let program = |name: &str| go::program(&format!("{MODULE}/pilot/cmd/{name}"), VERSION);
        let (Some(discovery), Some(agent), Some(module)) =
            (program("pilot-discovery")?, program("pilot-agent")?, go::module(&format!("{MODULE}@{VERSION}"))?)
        else {
            return Ok(None);
        };
        Ok(Some(Self { discovery, agent: adapted(&agent)?, module, envoy: envoy.to_owned() }))
    }
}

/// Where the agent puts images, and a path as long that begins where it runs.
const DATA: [&str; 2] = ["/var/lib/istio/data", "./var/lib/istio/dat"];

/// The agent, which has a constant for that folder, with another one: a test writes into no folder of the machine's.
fn adapted(agent: &Path) -> Result<PathBuf> {
    let folder = made_from(VERSION, "istio-agent", |folder| {
        let mut bytes = fs::read(agent)?;
        let [from, to] = DATA.map(str::as_bytes);
        let found: Vec<_> =
            bytes.windows(from.len()).enumerate().filter(|(_, it)| *it == from).map(|it| it.0).collect();
        ensure!(!found.is_empty(), "{} does not know {}", agent.display(), DATA[0]);
        for start in found {
            bytes[start..start + to.len()].copy_from_slice(to);
        }
        let file = folder.join("pilot-agent");
        fs::write(&file, bytes)?;
        Ok(fs::set_permissions(file, Permissions::from_mode(0o755))?)
    })?;
    Ok(folder.join("pilot-agent"))
}

/// The name that proxies know istiod by.
const ISTIOD: &str = "istiod.istio-system.svc";
/// The name of the cluster that all of them are in.
const CLUSTER: &str = "Kubernetes";

fn created(folder: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
