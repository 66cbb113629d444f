//! The tour: every step checks what it shows.

use anyhow::{Context as _, Result, ensure};
use console::style;
use e2e::at_rest::{AtRest, HEADER, OUR_METADATA, OVERHEAD, Refusal, SEGMENT, refusal};
use e2e::listing::sizes;
use e2e::stack::{BUCKET, Stack};

use crate::screen::{holds, shown, side_by_side, step};

const OBJECT_KEY: &str = "tour/payroll 2026.csv";
const FOREIGN_KEY: &str = "tour/from before.txt";
const CONTENT_TYPE: &str = "text/csv";
const OWNER: (&str, &str) = ("x-amz-meta-owner", "finance");

/// Walks through it all. Fails at the first thing that does not hold.
pub fn run(stack: &Stack) -> Result<()> {
    println!("{}", style("S3EP: a client, Envoy with the filter, and a store that is not trusted").bold());
    shown("client talks to", &stack.client.endpoint.url);
    shown("store behind Envoy", &stack.direct.endpoint.url);
    let keys = stack.shim.as_ref().map(|shim| format!("wrapped by kms-shim at http://{}", shim.address));
    shown("data keys", &keys.unwrap_or_else(|| "made from a master key".to_owned()));
    let plaintext = payroll();
    put(stack, &plaintext).context("PUT")?;
    let stored = look_at_rest(stack, &plaintext).context("at rest")?;
    head(stack, &plaintext).context("HEAD")?;
    get(stack, &plaintext).context("GET")?;
    range(stack, &plaintext).context("range")?;
    list(stack, &plaintext).context("listing")?;
    tamper(stack, &stored, &plaintext).context("tampering")?;
    foreign(stack).context("foreign object")?;
    delete(stack).context("DELETE")?;
    println!("\n{}", style("Everything held.").green().bold());
    Ok(())
}

/// Three segments of something that one would know again in a dump.
fn payroll() -> Vec<u8> {
    let lines = (1..).map(|number| format!("{number:05},Ada Lovelace,Analytical Engines Ltd,GBP {number}000\n"));
    let mut text: Vec<u8> = lines.take(3000).flat_map(String::into_bytes).collect();
    text.truncate(2 * SEGMENT + 1234);
    text
}

fn put(stack: &Stack, plaintext: &[u8]) -> Result<()> {
    step("A client stores an object through Envoy");
    let call = stack.client.object("PUT", OBJECT_KEY).header("content-type", CONTENT_TYPE);
    call.header(OWNER.0, OWNER.1).send(plaintext)?.expect(200)?;
    holds(&format!("PUT {OBJECT_KEY:?}: {} bytes in {BUCKET}", plaintext.len()));
    Ok(())
}

fn look_at_rest(stack: &Stack, plaintext: &[u8]) -> Result<AtRest> {
    step("What lies in the bucket");
    let stored = AtRest::read(&stack.direct, OBJECT_KEY)?;
    side_by_side("the client's bytes", plaintext, "the store's bytes", &stored.body, 10);
    let mut metadata = stored.metadata.clone();
    metadata.sort();
    for (name, value) in &metadata {
        shown(name, value);
    }
    if let Some(files) = &stack.store.files {
        let file = files.join(BUCKET).join(OBJECT_KEY);
        ensure!(std::fs::read(&file)? == stored.body, "{} is something else", file.display());
        shown("as a file", &file.display().to_string());
    }
    stored.check_sealed(plaintext)?;
    let len = stored.body.len();
    holds(&format!("{len} bytes: for each segment of 64 KiB, {OVERHEAD} more for its header and tag"));
    holds("no 32 bytes of the plaintext are in it");
    Ok(stored)
}

fn head(stack: &Stack, plaintext: &[u8]) -> Result<()> {
    step("What a client sees of it");
    let answer = stack.client.object("HEAD", OBJECT_KEY).send(&[])?.expect(200)?;
    for name in ["content-length", "content-type", OWNER.0] {
        shown(name, answer.header(name).unwrap_or("(none)"));
    }
    ensure!(answer.header("content-length") == Some(&plaintext.len().to_string()), "another length");
    ensure!(answer.header("content-type") == Some(CONTENT_TYPE), "another Content-Type");
    ensure!(answer.header(OWNER.0) == Some(OWNER.1), "other metadata");
    ensure!(answer.headers_with_prefix(OUR_METADATA).is_empty(), "our metadata shows");
    holds("HEAD has the plaintext's length and the client's metadata, and none of ours");
    Ok(())
}

fn get(stack: &Stack, plaintext: &[u8]) -> Result<()> {
    let answer = stack.client.get(OBJECT_KEY)?;
    ensure!(answer.body == plaintext, "GET returned something else");
    ensure!(answer.header("content-length") == Some(&plaintext.len().to_string()), "another length");
    holds(&format!("GET returns the same {} bytes", plaintext.len()));
    Ok(())
}

fn range(stack: &Stack, plaintext: &[u8]) -> Result<()> {
    let (first, last) = (SEGMENT - 20, SEGMENT + 19);
    let range = format!("bytes={first}-{last}");
    let answer = stack.client.object("GET", OBJECT_KEY).header("range", &range).send(&[])?.expect(206)?;
    shown(&range, &format!("{:?}", String::from_utf8_lossy(&answer.body)));
    ensure!(answer.body == plaintext[first..=last], "the range is something else");
    let content_range = format!("bytes {first}-{last}/{}", plaintext.len());
    ensure!(answer.header("content-range") == Some(&content_range), "another Content-Range");
    holds("a range across two segments is the plaintext's");
    Ok(())
}

fn list(stack: &Stack, plaintext: &[u8]) -> Result<()> {
    let size = |client| -> Result<u64> {
        let listing = sizes(client, "list-type=2&prefix=tour%2F")?;
        let found = listing.into_iter().find(|(object_key, _)| object_key == OBJECT_KEY);
        Ok(found.context("the object is not listed")?.1)
    };
    let (through, at_rest) = (size(&stack.client)?, size(&stack.direct)?);
    shown("listed by Envoy", &format!("{through} bytes"));
    shown("listed by the store", &format!("{at_rest} bytes"));
    ensure!(through == plaintext.len() as u64, "the listing has another size");
    ensure!(at_rest != through, "the store has the plaintext's size");
    holds("a listing has the plaintext's size");
    Ok(())
}

fn tamper(stack: &Stack, stored: &AtRest, plaintext: &[u8]) -> Result<()> {
    step("The store flips a single bit");
    let in_first = HEADER + 100;
    let in_last = 2 * (SEGMENT + OVERHEAD) + HEADER + 100;
    for (place, offset) in [("the first segment", in_first), ("the last segment", in_last)] {
        let mut tampered = stored.clone();
        tampered.body[offset] ^= 1;
        tampered.write(&stack.direct, OBJECT_KEY)?;
        let answer = stack.client.object("GET", OBJECT_KEY).send(&[])?;
        let outcome = match refusal(&answer, plaintext)? {
            Refusal::Error { status, code } => format!("the client gets {status} {code}, and no byte"),
            Refusal::Broken { released: 0 } => "the transfer breaks before its first byte".to_owned(),
            Refusal::Broken { released } => format!("{released} bytes, all authentic, then the transfer breaks"),
        };
        holds(&format!("in {place}: {outcome}"));
    }
    stored.write(&stack.direct, OBJECT_KEY)?;
    get(stack, plaintext).context("the object put back as it was")
}

fn foreign(stack: &Stack) -> Result<()> {
    step("An object that was in the bucket before S3EP");
    let text = b"written straight to the store, in clear";
    stack.direct.put(FOREIGN_KEY, text)?;
    let answer = stack.client.get(FOREIGN_KEY)?;
    ensure!(answer.body == text, "it came back changed");
    holds("passes through as it is (`unencrypted_objects: refuse` would refuse it)");
    Ok(())
}

fn delete(stack: &Stack) -> Result<()> {
    step("A client deletes what is there");
    for object_key in [OBJECT_KEY, FOREIGN_KEY] {
        stack.client.object("DELETE", object_key).send(&[])?.expect(204)?;
        stack.direct.object("HEAD", object_key).send(&[])?.expect(404)?;
        stack.client.object("GET", object_key).send(&[])?.expect(404)?;
    }
    holds("gone from the store");
    Ok(())
}
