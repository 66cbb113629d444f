//! `cargo bench-e2e`: what S3EP costs, beside the same Envoy without the filter, on the same store, in one run.
//!
//! Envoy has one worker. The store is in this program's memory, so that a disk does not set the pace, and its work, as the
//! client's, is not in Envoy's processor time. Figures are medians over rounds in which both sides take turns.

mod load;
mod measure;
mod memory;
mod operations;
mod table;
mod throughput;

use std::fs;

use anyhow::{Context as _, Result};
use clap::Parser;
use e2e::envoy::Configuration;
use e2e::setup::Setup;
use e2e::stack::{Builder, Mode, Stack};
use e2e::store::Store;
use e2e::wasm::build_released_shim;
use e2e::workspace::root;

use self::measure::Side;

/// Measures what S3EP costs.
#[derive(Parser)]
struct Options {
    /// Smaller objects and fewer rounds: says whether it works, and little of how fast it is.
    #[arg(long)]
    quick: bool,
    /// Objects up to 10 GiB. The store then holds 10 GiB in memory.
    #[arg(long)]
    huge: bool,
    /// Puts the tables into README.md.
    #[arg(long)]
    update_readme: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    raise_file_limit()?;
    let mut setup = Setup::prepare()?;
    if !options.quick {
        // A wrap by the development profile's kms-shim takes nearly twice the time.
        setup.shim = build_released_shim()?;
    }
    // Writes what must be unknown to the Envoys that are measured.
    let stack = Builder::new(&setup)?.start(Store::memory()?, Mode::Envelope)?;
    let tables = tables(&options, &setup, &stack)?;
    println!("{tables}");
    if options.update_readme { update_readme(&tables) } else { Ok(()) }
}

fn tables(options: &Options, setup: &Setup, stack: &Stack) -> Result<String> {
    let (sealing, bare) =
        (stack.replica_with(setup, one_worker(true)?)?, stack.replica_with(setup, one_worker(false)?)?);
    let sides = [Side::new("s3ep", &sealing), Side::new("bare", &bare)];
    let scale = measure::Scale::new(options.quick, options.huge);
    Ok([
        throughput::table(&scale, &sides)?,
        operations::table(&scale, stack, &sides)?,
        throughput::growth(&scale, &sides)?,
        memory::table(&scale, || {
            Ok([stack.replica_with(setup, one_worker(true)?)?, stack.replica_with(setup, one_worker(false)?)?])
        })?,
    ]
    .join("\n"))
}

/// The reference configuration with one worker, with the filter or without.
fn one_worker(has_filter: bool) -> Result<Configuration> {
    let mut configuration = Configuration::reference()?;
    configuration.set_workers(1);
    if !has_filter {
        configuration.disable_filter();
    }
    Ok(configuration)
}

/// 1,000 streams are 4,000 sockets, half of them here, and the other half in Envoy, which inherits the limit.
fn raise_file_limit() -> Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit })?)
}

fn update_readme(tables: &str) -> Result<()> {
    const BEGIN: &str = "<!-- Made by: cargo bench-e2e --update-readme -->\n";
    const END: &str = "<!-- The end of what the measurements made -->";
    let file = root().join("README.md");
    let text = fs::read_to_string(&file)?;
    let (before, rest) = text.split_once(BEGIN).context("README.md has no place for the tables")?;
    let (_, after) = rest.split_once(END).context("README.md has no end of the tables")?;
    Ok(fs::write(file, format!("{before}{BEGIN}{tables}{END}{after}"))?)
}
