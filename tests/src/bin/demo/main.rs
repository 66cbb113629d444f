//! `cargo demo`: brings S3EP up and shows that it does what it says, or keeps it up for others to try.

mod screen;
mod serve;
mod tour;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Parser;
use e2e::setup::Setup;
use e2e::stack::{Builder, Mode, Stack};
use e2e::store::{Store, minio};

/// S3EP's demo: a real Envoy with the filter, kms-shim, and an object store, on free ports of this machine.
#[derive(Debug, Parser)]
struct Cli {
    /// Keep everything up until SIGTERM or SIGINT, instead of the tour
    #[arg(long)]
    serve: bool,
    /// When ready, write KEY=value lines here that say where everything is, with credentials
    #[arg(long, value_name = "FILE", requires = "serve")]
    env_file: Option<PathBuf>,
    /// Use this object store instead of the embedded one. S3EP_STORE_ACCESS_KEY_ID and S3EP_STORE_SECRET_ACCESS_KEY come
    /// from the environment, and S3EP_STORE_REGION if it is not us-east-1. `minio` is the tests' MinIO, built with Go on
    /// first use
    #[arg(long, value_name = "URL|minio")]
    store: Option<String>,
    /// Where data keys come from: wrapped by kms-shim, or made from a master key
    #[arg(long, value_enum, default_value_t = Mode::Envelope)]
    mode: Mode,
    /// Envoy's port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    if let Some(file) = &cli.env_file {
        serve::remove_stale(file)?;
    }
    let setup = Setup::prepare()?;
    let stack = start(&setup, &cli)?;
    if cli.serve {
        serve::serve(stack, cli.env_file.as_deref())
    } else {
        tour::run(&stack).with_context(|| stack.log_tails())
    }
}

fn start(setup: &Setup, cli: &Cli) -> Result<Stack> {
    let builder = Builder::new(setup)?.port(cli.port);
    let store = match cli.store.as_deref() {
        Some("minio") => minio(&builder.folder())?,
        Some(url) => Store::external(url)?,
        None => Store::embedded(&builder.folder())?,
    };
    builder.start(store, cli.mode)
}

fn minio(folder: &Path) -> Result<Store> {
    let program = minio::binary()?.context("--store minio needs Go, to build it")?;
    Store::full(&program, folder)
}
