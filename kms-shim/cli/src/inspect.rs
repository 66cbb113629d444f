//! `s3ep inspect`: what an object says of itself. It needs no key, and so nothing of it is authenticated.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use s3ep_core::format::metadata::Metadata;
use s3ep_core::format::segment::{HEADER_LEN, SegmentHeader};

use crate::stated;

/// What is to be looked at.
#[derive(Debug, Args)]
pub struct Inspect {
    /// File with the object's body, as it lies in the bucket
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// File with its metadata: what `aws s3api head-object` prints, or lines of name=value
    #[arg(long, value_name = "FILE")]
    metadata: PathBuf,
}

impl Inspect {
    /// Prints it.
    pub fn run(&self) -> Result<()> {
        let text = std::fs::read_to_string(&self.metadata).with_context(|| self.metadata.display().to_string())?;
        let headers = stated::parse(&text).with_context(|| self.metadata.display().to_string())?;
        let Some(metadata) = Metadata::from_headers(&headers)? else { bail!("it is not encrypted") };
        let mut file = File::open(&self.file).with_context(|| self.file.display().to_string())?;
        let sealed_len = file.metadata()?.len();
        let mut out = io::stdout().lock();
        writeln!(out, "kek: {}", metadata.wrapped_dek().kek)?;
        writeln!(out, "body: {sealed_len} bytes")?;
        if sealed_len > 0 {
            let mut header = [0; HEADER_LEN];
            file.read_exact(&mut header).context("the first segment's header")?;
            let header = SegmentHeader::parse(&header)?;
            writeln!(out, "first segment: part {}, {} bytes", header.place.part, header.len)?;
        }
        Ok(())
    }
}
