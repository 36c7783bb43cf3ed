//! What a test lets go wrong, request by request.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};

use super::status::{Status, text};

/// One way to fail.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status instead of the answer.
    Status(u16),
    /// 200 and the end.
    EndAfterHead,
    /// 200 and silence.
    SilenceAfterHead,
    /// The connection ends without an answer.
    HangUp,
    /// The connection ends after so many octets of the body.
    CutAfter(usize),
    /// This line before the body.
    Line(&'static str),
    /// Seven octets at a time, with pauses.
    Drip(Duration),
}

/// The requests that fail.
#[derive(Debug)]
pub struct Injected {
    pub verb: &'static str,
    pub plural: &'static str,
    pub fault: Fault,
    pub times: usize,
}

impl Injected {
    /// What is to go wrong with this request, if it is one of these and not all had their turn.
    pub fn hit(&mut self, verb: &str, plural: &str) -> Option<Fault> {
        if self.times == 0 || self.verb != verb || self.plural != plural {
            return None;
        }
        self.times -= 1;
        Some(self.fault.clone())
    }
}

impl Fault {
    /// What becomes of an answer. None: the connection ends.
    pub fn spoil(self, answer: Response) -> Option<Response> {
        let (head, body) = answer.into_parts();
        let head_only = |body| Response::builder().header(CONTENT_TYPE, "application/json").body(body).unwrap();
        let chunks = body.into_data_stream().map(|chunk| chunk.map_err(std::io::Error::other));
        Some(match self {
            Fault::Status(429) => too_many_requests(),
            Fault::Status(code) => Status::injected(code).into_response(),
            Fault::EndAfterHead => head_only(Body::empty()),
            Fault::SilenceAfterHead => head_only(Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())),
            Fault::HangUp => return None,
            Fault::CutAfter(octets) => {
                let mut left = octets;
                let cut = chunks.flat_map(move |chunk| {
                    let chunk = chunk.unwrap_or_default();
                    let kept = chunk.slice(..left.min(chunk.len()));
                    left -= kept.len();
                    let end = (left == 0).then(|| Err(std::io::Error::other("cut")));
                    stream::iter([Ok(kept)].into_iter().chain(end))
                });
                Response::from_parts(head, Body::from_stream(cut))
            }
            Fault::Line(words) => {
                let first = stream::iter([Ok(Bytes::from(format!("{words}\n")))]);
                Response::from_parts(head, Body::from_stream(first.chain(chunks)))
            }
            Fault::Drip(pause) => {
                let pieces = chunks.flat_map(|chunk| {
                    let chunk = chunk.unwrap_or_default();
                    stream::iter((0..chunk.len()).step_by(7).map(move |at| chunk.slice(at..chunk.len().min(at + 7))))
                });
                let slow = pieces.then(move |piece| async move {
                    tokio::time::sleep(pause).await;
                    Ok::<_, std::io::Error>(piece)
                });
                Response::from_parts(head, Body::from_stream(slow))
            }
        })
    }
}

/// What the real server says before it looks at the request: text, no Status.
fn too_many_requests() -> Response {
    let mut response = text(429, "Too many requests, please try again later.\n");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
