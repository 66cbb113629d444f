//! Where the parts of a multipart object lie: the core asks, as it does in the filter.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use s3ep_core::exchange::{CallBody, Found, StoreAnswer, StoreRequest, Survey};
use s3ep_core::format::layout::Layout;
use s3ep_core::format::segment::HEADER_LEN;
use s3ep_core::http::{Headers, ResponseHead, parse_length};
use s3ep_core::keys::ObjectName;

use super::{Call, Store, path};
use crate::failure::Failed as _;

impl Store {
    /// Where the parts of the object lie that has these headers.
    pub fn survey(&self, name: &ObjectName, version_id: Option<&str>, headers: &Headers) -> Result<Layout> {
        let field = |name| headers.text(name).ok().flatten().with_context(|| format!("the store states no {name}"));
        let len = parse_length(field("content-length")?).context("the store states a malformed content-length")?;
        let (mut survey, mut request) = Survey::begin(path(name, version_id), field("etag")?.to_owned(), len);
        loop {
            match survey.answered(&self.ask(request)?).plainly()? {
                Found::Ask(next) => request = next,
                Found::Layout(layout) => return Ok(layout),
            }
        }
    }

    fn ask(&self, StoreRequest { method, path, headers, .. }: StoreRequest) -> Result<StoreAnswer> {
        let sealed_answer = self.send(Call::new(method, path).headers(headers))?;
        let status = sealed_answer.status;
        let sealed = sealed_answer.into_sealed();
        let mut body = Vec::new();
        if method == "GET" {
            // More than what was asked for is another answer.
            sealed.body.take(HEADER_LEN as u64 + 1).read_to_end(&mut body)?;
        }
        let head = ResponseHead { status, headers: sealed.headers, is_end: body.is_empty() };
        Ok(StoreAnswer { head, body: CallBody(body) })
    }
}
