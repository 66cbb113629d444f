//! One S3 request and its response as a state machine: events in, steps out.
//!
//! Whoever drives an [`Exchange`] feeds it the heads and bodies of a request and its response, in order, and carries out
//! what it answers. It holds at most about a segment of a body at any time. After an [`Error`] an exchange must be
//! dropped: the client gets an error reply, or, after a head went out, a broken transfer.

mod again;
mod call;
mod complete_multipart_upload;
mod copy_object;
mod create_multipart_upload;
mod dek;
mod document;
mod etags;
mod get_object;
mod get_object_attributes;
mod get_range;
mod hop;
mod list;
mod list_buckets;
mod look;
mod pass_through;
mod put_object;
mod rewriting;
mod sealing;
mod sender;
mod source;
mod survey;
mod upload_keys;
mod upload_part;
mod upload_part_copy;

use std::time::Duration;

pub use call::{Answer, Call, CallBody, Reply, StoreAnswer, StoreRequest};
pub use get_object::stated_layout;
pub use survey::{Found, Survey};

use self::etags::Etags;
use self::rewriting::Rewriting;
use self::sender::Sender;
use crate::account::Account;
use crate::caches::Caches;
use crate::config::Config;
use crate::entropy::Entropy;
use crate::error::{Error, InternalError, RequestError};
use crate::format::metadata;
use crate::http::{HeadEdits, Headers, RequestHead, ResponseHead};
use crate::s3::operation::{self, Operation};
use crate::s3::virtual_host::to_path_style;
use crate::sigv4::Payload;

/// What an exchange needs from around it.
pub struct Env<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// What this VM remembers.
    pub caches: &'a mut Caches,
    /// Randomness.
    pub entropy: &'a mut dyn Entropy,
    /// The time, since the Unix epoch.
    pub now: Duration,
    /// What this exchange did so far.
    pub account: &'a mut Account,
}

/// What is to be done with a message whose head came.
#[derive(Debug)]
pub enum HeadStep {
    /// It goes on, with these edits.
    Forward(HeadEdits),
    /// It is held, body and all, until [`Exchange::answer`] has the answer to this.
    Wait(Call),
    /// It goes nowhere: the client is answered with this.
    Reply(Reply),
}

/// What becomes of a window of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    /// It goes on as it is.
    Unchanged,
    /// This goes on in its place.
    Replaced(Vec<u8>),
}

/// A request and its response, from the request's head on.
pub struct Exchange {
    role: Box<dyn Role>,
    is_head: bool,
    /// Whether the response has ended with its head, though it might have had a body.
    has_ended: bool,
    /// Of the head that came last, until it goes on.
    etags: Etags,
}

impl Exchange {
    /// Begins with the request's head.
    pub fn begin(env: &mut Env<'_>, head: RequestHead) -> Result<(Self, HeadStep), Error> {
        let sender = Sender::of_request(env, &head)?;
        let mut head = to_path_style(head, &env.config.virtual_host_suffixes);
        env.account.bucket = operation::bucket(&head);
        operation::check_headers(&head)?;
        let operation = Operation::from_request(&head)?;
        env.account.operation = Some(operation.label(&head.method));
        sender.check(&head, &operation)?;
        if let Payload::Sha256(hash) = &sender.payload {
            // A presigned URL may state it in its query, where those who verify bodies do not look.
            head.headers.set("x-amz-content-sha256", hash);
        }
        let etags = Etags::of_request(&mut head.headers);
        let role = role(operation, &head, sender);
        let mut exchange = Self { role, is_head: head.method == "HEAD", has_ended: false, etags };
        let step = exchange.role.request_head(env, &head)?;
        let step = exchange.complete(step)?;
        Ok((exchange, step))
    }

    /// The answer to what [`HeadStep::Wait`] asked.
    pub fn answer(&mut self, env: &mut Env<'_>, answer: Answer) -> Result<HeadStep, Error> {
        let step = self.role.answer(env, answer)?;
        self.complete(step)
    }

    /// A window of the request's body. `is_end`: nothing follows, no trailers either.
    pub fn request_body(&mut self, env: &mut Env<'_>, window: &[u8], is_end: bool) -> Result<Body, Error> {
        self.role.request_body(env, window, is_end)
    }

    /// The request ends with trailers; no body can be added any more.
    pub fn request_trailers(&mut self) -> Result<(), Error> {
        self.role.request_trailers()
    }

    /// The response's head.
    pub fn response_head(&mut self, env: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error> {
        self.has_ended = head.is_end && !self.is_head;
        self.etags = Etags::of_response(&head.headers);
        let step = self.role.response_head(env, head)?;
        self.complete(step)
    }

    /// Adds what was sealed and opened since this was called last.
    pub fn settle(&mut self, account: &mut Account) {
        self.role.settle(account);
    }

    /// Does what every head needs before it goes on, whatever its role.
    fn complete(&mut self, mut step: HeadStep) -> Result<HeadStep, Error> {
        if let HeadStep::Forward(edits) = &mut step {
            self.etags.add_to(edits);
            if self.has_ended {
                // A body that does not come at all must be as right as one that does.
                self.role.response_trailers()?;
            }
        }
        Ok(step)
    }

    /// A window of the response's body.
    pub fn response_body(&mut self, window: &[u8], is_end: bool) -> Result<Body, Error> {
        self.role.response_body(window, is_end)
    }

    /// The response ends with trailers; no body can be added any more.
    pub fn response_trailers(&mut self) -> Result<(), Error> {
        self.role.response_trailers()
    }
}

fn role(operation: Operation, head: &RequestHead, sender: Sender) -> Box<dyn Role> {
    let Sender { payload, permissions } = sender;
    match operation {
        Operation::PutObject(name) => Box::new(put_object::PutObject::new(name, payload)),
        Operation::GetObject { name, part } | Operation::HeadObject { name, part }
            if part.is_some() || head.headers.has("range") =>
        {
            Box::new(get_range::GetRange::new(name, part, head))
        }
        Operation::GetObject { name, .. } | Operation::HeadObject { name, .. } => {
            Box::new(get_object::GetObject::new(name, head))
        }
        Operation::GetObjectAttributes(name) => Box::new(get_object_attributes::GetObjectAttributes::new(name)),
        Operation::CopyObject { name, source } => Box::new(copy_object::CopyObject::new(name, source)),
        Operation::ListBuckets => Box::new(list_buckets::ListBuckets::new(permissions)),
        Operation::ListObjects => Box::new(list::List::objects()),
        Operation::ListMultipartUploads => Box::new(list::List::uploads()),
        Operation::CreateMultipartUpload(name) => Box::new(create_multipart_upload::CreateMultipartUpload::new(name)),
        Operation::UploadPart { name, part, upload_id } => {
            Box::new(upload_part::UploadPart::new(name, part, upload_id, payload))
        }
        Operation::UploadPartCopy { name, part, upload_id, source } => {
            Box::new(upload_part_copy::UploadPartCopy::new(name, part, upload_id, source))
        }
        Operation::CompleteMultipartUpload(upload_id) => {
            Box::new(complete_multipart_upload::CompleteMultipartUpload::new(upload_id))
        }
        Operation::AbortMultipartUpload(upload_id) => Box::new(pass_through::PassThrough::on_upload(upload_id)),
        Operation::ListParts(upload_id) => Box::new(list::List::parts(upload_id)),
        Operation::PassThrough(body) => Box::new(pass_through::PassThrough::new(body)),
    }
}

/// What an operation does with each event. The defaults are those of an operation without a request body that leaves
/// the response's alone.
trait Role {
    fn request_head(&mut self, env: &mut Env<'_>, head: &RequestHead) -> Result<HeadStep, Error>;

    fn answer(&mut self, _: &mut Env<'_>, _: Answer) -> Result<HeadStep, Error> {
        Err(InternalError("an answer came that nobody asked for").into())
    }

    /// Most operations have no body, and one that came along could be an object's.
    fn request_body(&mut self, _: &mut Env<'_>, window: &[u8], _is_end: bool) -> Result<Body, Error> {
        no_body(window)
    }

    fn request_trailers(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn response_head(&mut self, env: &mut Env<'_>, head: &ResponseHead) -> Result<HeadStep, Error>;

    /// What rewrites the store's document, if that is all that becomes of the response's body.
    fn rewriting(&mut self) -> Option<&mut Rewriting> {
        None
    }

    fn response_body(&mut self, window: &[u8], is_end: bool) -> Result<Body, Error> {
        self.rewriting().map_or(Ok(Body::Unchanged), |rewriting| rewriting.push(window, is_end))
    }

    fn response_trailers(&mut self) -> Result<(), Error> {
        self.rewriting().map_or(Ok(()), Rewriting::trailers)
    }

    /// See [`Exchange::settle`].
    fn settle(&mut self, _: &mut Account) {}
}

/// Lets nothing but an empty body through.
fn no_body(window: &[u8]) -> Result<Body, Error> {
    match window.is_empty() {
        true => Ok(Body::Unchanged),
        false => Err(RequestError::InvalidRequest("this operation has no body").into()),
    }
}

/// Removes from a response what a client must not see of an encrypted object: our metadata.
fn hide_metadata(headers: &Headers, edits: &mut HeadEdits) {
    edits.remove_where(headers, |name| name.starts_with(metadata::PREFIX));
}

/// Edits to a successful response about an encrypted object: the store's checksums are of the ciphertext. So is its
/// ETag: see [`Etags`].
fn hide_ciphertext(headers: &Headers, edits: &mut HeadEdits) {
    hide_metadata(headers, edits);
    edits.remove_where(headers, |name| name.starts_with("x-amz-checksum-") || name == "x-amz-object-size");
}
