//! The command line of s3ep.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use s3ep_cli::inspect::Inspect;

/// Looks at S3EP's objects, and gets data out of a bucket, without Envoy.
#[derive(Parser)]
#[command(name = "s3ep", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what an object says of itself; needs no key
    Inspect(Inspect),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Inspect(inspect) => inspect.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("s3ep: {error:#}");
            ExitCode::FAILURE
        }
    }
}
