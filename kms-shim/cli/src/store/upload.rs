//! Multipart uploads to the store (Amazon S3 API Reference: CreateMultipartUpload, UploadPart, UploadPartCopy,
//! CompleteMultipartUpload, AbortMultipartUpload).

use anyhow::{Context as _, Result, ensure};
use roxmltree::Document;
use s3ep_core::keys::ObjectName;
use s3ep_core::s3::range::Span;
use s3ep_core::s3::xml::{document, escape, has_root};

use super::answer::text;
use super::{Answer, Call, Store, Written, encode, path};

/// An upload under way. One that is not completed is aborted.
pub struct Upload<'a> {
    store: &'a Store,
    path: String,
    upload_id: String,
    /// Those of the parts, in order.
    etags: Vec<String>,
    is_over: bool,
}

impl Store {
    /// Begins an upload of an object with these headers.
    pub fn upload(&self, name: &ObjectName, headers: Vec<(String, String)>) -> Result<Upload<'_>> {
        let path = path(name, None);
        let call = Call::new("POST", format!("{path}?uploads=")).headers(headers).body(&[]);
        let answer = self.send(call)?.expect(&[200])?.document()?;
        let upload_id = element(&answer, "UploadId")?;
        Ok(Upload { store: self, path, upload_id, etags: Vec::new(), is_over: false })
    }
}

impl Upload<'_> {
    /// The next part is these bytes.
    pub fn part(&mut self, body: &[u8]) -> Result<()> {
        let answer = self.store.send(Call::new("PUT", self.part_path()).body(body))?.expect(&[200])?;
        let etag = answer.headers.text("etag").ok().flatten().context("the store states no etag of a part")?;
        self.etags.push(etag.to_owned());
        Ok(())
    }

    /// The next part is these bytes of the object itself, which must still be the one with this ETag.
    pub fn copied_part(&mut self, etag: &str, span: Span) -> Result<()> {
        let call = Call::new("PUT", self.part_path())
            .header("x-amz-copy-source", &self.path)
            .header("x-amz-copy-source-if-match", etag)
            .header("x-amz-copy-source-range", &span.to_string())
            .body(&[]);
        let answer = self.store.send(call)?.expect(&[200])?.document()?;
        ensure!(has_root(answer.as_bytes(), "CopyPartResult"), "the store did not copy: {answer}");
        self.etags.push(element(&answer, "ETag")?);
        Ok(())
    }

    /// Makes the parts the object, in place of the one with this ETag.
    pub fn complete(mut self, etag: &str) -> Result<Written> {
        let part = |(number, etag): (u32, &String)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>", escape(etag))
        };
        let parts: String = (1..).zip(&self.etags).map(part).collect();
        let body = document("CompleteMultipartUpload", &parts);
        let call = Call::new("POST", self.upload_path()).header("if-match", etag).body(body.as_bytes());
        let answer: Answer = self.store.send(call)?.expect(&[200])?;
        let written = Written::of(&answer);
        let answer = answer.document()?;
        ensure!(has_root(answer.as_bytes(), "CompleteMultipartUploadResult"), "the store did not complete: {answer}");
        self.is_over = true;
        Ok(written)
    }

    fn upload_path(&self) -> String {
        format!("{}?uploadId={}", self.path, encode(&self.upload_id))
    }

    fn part_path(&self) -> String {
        format!("{}?partNumber={}&uploadId={}", self.path, self.etags.len() + 1, encode(&self.upload_id))
    }
}

impl Drop for Upload<'_> {
    /// Parts that nobody will complete cost money. One that this cannot abort is left to the bucket's lifecycle rule.
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.store.send(Call::new("DELETE", self.upload_path()));
        }
    }
}

fn element(answer: &str, name: &str) -> Result<String> {
    let document = Document::parse(answer).context("the store's document")?;
    Ok(text(&document, name).with_context(|| format!("the store states no {name}"))?.to_owned())
}
