//! The command line of s3ep.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use s3ep_cli::decrypt::Decrypt;
use s3ep_cli::encrypt_bucket::EncryptBucket;
use s3ep_cli::inspect::Inspect;
use s3ep_cli::rewrap::Rewrap;
use s3ep_cli::verify::Verify;

/// Looks at S3EP's objects, and gets data out of a bucket, without Envoy.
#[derive(Parser)]
#[command(name = "s3ep", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what an object says of itself; with keys, also whether it is authentic
    Inspect(Box<Inspect>),
    /// Decrypt an object, from a bucket or from files
    Decrypt(Box<Decrypt>),
    /// Check every object of a bucket
    Verify(Box<Verify>),
    /// Wrap the DEKs of a bucket's objects by another KEK
    Rewrap(Box<Rewrap>),
    /// Encrypt what a bucket holds in plaintext
    EncryptBucket(Box<EncryptBucket>),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Inspect(inspect) => inspect.run().map(|()| ExitCode::SUCCESS),
        Command::Decrypt(decrypt) => decrypt.run().map(|()| ExitCode::SUCCESS),
        Command::Verify(verify) => verify.run(),
        Command::Rewrap(rewrap) => rewrap.run(),
        Command::EncryptBucket(encrypt) => encrypt.run(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("s3ep: {error:#}");
        ExitCode::FAILURE
    })
}
