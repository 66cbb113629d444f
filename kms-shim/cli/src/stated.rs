//! An object's metadata in a file, as other programs write it: `aws s3api head-object` in JSON, `curl -I` as headers, or
//! plainly as `name=value` lines.

use anyhow::{Context as _, Result, ensure};
use s3ep_core::format::metadata::PREFIX;
use s3ep_core::http::Headers;
use serde_json::{Map, Value};

/// What S3 puts before the names of user metadata in headers, and other programs leave out.
const USER_METADATA: &str = "x-amz-meta-";

/// Reads the user metadata in `text`. Fails if none of S3EP's is among it.
pub fn parse(text: &str) -> Result<Headers> {
    let fields = if text.trim_start().starts_with('{') { from_json(text)? } else { from_lines(text) };
    let headers: Headers = fields.into_iter().collect();
    ensure!(headers.iter().any(|(name, _)| name.starts_with(PREFIX)), "there is no metadata of S3EP's in it");
    Ok(headers)
}

fn from_json(text: &str) -> Result<Vec<(String, String)>> {
    let answer: Map<String, Value> = serde_json::from_str(text).context("not JSON")?;
    let metadata = answer.get("Metadata").and_then(Value::as_object).unwrap_or(&answer);
    Ok(metadata.iter().filter_map(|(name, value)| Some((header(name), value.as_str()?.to_owned()))).collect())
}

/// `name=value`, or `name: value`. A name has neither of the two, and a value may have both.
fn from_lines(text: &str) -> Vec<(String, String)> {
    let field = |line: &str| {
        let (name, value) = line.split_once(['=', ':'])?;
        Some((header(name.trim()), value.trim().to_owned()))
    };
    text.lines().filter_map(field).collect()
}

fn header(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    if name.starts_with(USER_METADATA) { name } else { format!("{USER_METADATA}{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let texts = [
            r#"{"ContentLength": 49, "Metadata": {"s3ep-dek": "AQ==", "s3ep-kek": "aws-kms://a:b", "mine": "1"}}"#,
            r#"{"s3ep-dek": "AQ==", "x-amz-meta-s3ep-kek": "aws-kms://a:b", "mine": "1"}"#,
            "s3ep-dek=AQ==\nx-amz-meta-s3ep-kek=aws-kms://a:b\nmine=1\n",
            "HTTP/1.1 200 OK\r\nX-Amz-Meta-S3ep-Dek: AQ==\r\nx-amz-meta-s3ep-kek: aws-kms://a:b\r\nx-amz-meta-mine: 1\r\n\r\n",
        ];
        for text in texts {
            let headers = parse(text).unwrap();
            let field = |name: &str| headers.text(&format!("x-amz-meta-{name}")).unwrap();
            assert_eq!(
                [field("s3ep-dek"), field("s3ep-kek"), field("mine")],
                [Some("AQ=="), Some("aws-kms://a:b"), Some("1")],
                "{text}"
            );
        }
    }

    #[test]
    fn what_has_none_of_ours_is_refused() {
        for text in ["", "mine=1", r#"{"Metadata": {}}"#, "{", r#"{"Metadata": {"s3ep-dek": 1}}"#] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
