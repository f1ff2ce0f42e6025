//! The states of a request: [`Received`] shows its head, [`Authorised`] can read the body.
//!
//! Only [`Received::authorise`] makes an [`Authorised`], and only that has a method to read the body, so that a handler
//! that forgets to ask who is calling does not compile.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::Method;
use hyper::body::Body;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::http::request::Parts;

use crate::base::ident::RequestId;
use crate::http::path;
use crate::http::path::BadEscape;

/// What is known of a request before its body.
#[derive(Debug)]
pub struct Head {
    /// Method, URL, headers.
    pub(super) parts: Parts,
    /// Who asks: the peer, or whom a trusted proxy names.
    pub(super) client: IpAddr,
    /// The request's name in logs and in its answer.
    pub(super) request_id: RequestId,
}

impl Head {
    /// The method.
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The path as it came, percent-encoded.
    pub fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// The decoded segments of the path: `/a//b/` yields `a`, ``, `b`, ``.
    pub fn segments(&self) -> impl Iterator<Item = Result<Cow<'_, str>, BadEscape>> {
        path::segments(self.path())
    }

    /// The query as it came, without the question mark.
    pub fn query(&self) -> Option<&str> {
        self.parts.uri.query()
    }

    /// The decoded parameters of the query, in the order they came.
    ///
    /// # Errors
    ///
    /// [`BadEscape`] of the first name or value that cannot be decoded.
    pub fn parameters(&self) -> Result<Vec<(String, String)>, BadEscape> {
        self.query()
            .map_or_else(|| Ok(Vec::new()), path::parameters)
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Who asks: the peer's address, or the one that a trusted proxy names. Never an IPv4 address in IPv6 clothes.
    pub fn client(&self) -> IpAddr {
        self.client
    }

    /// The request's name in logs, history and its answer.
    pub fn request_id(&self) -> RequestId {
        self.request_id
    }
}

/// A request whose head has been read and whose caller is not known yet.
#[derive(Debug)]
pub struct Received {
    /// Everything but the body. Boxed: a request is handed on from future to future, and each would
    /// move it.
    pub(super) head: Box<Head>,
    /// The body, out of reach.
    pub(super) body: Unread,
}

impl Received {
    /// Everything but the body.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Opens the way to the body for a request that may be carried out; `proof` is what the check found.
    pub fn authorise<P>(self, proof: P) -> Authorised<P> {
        Authorised {
            head: self.head,
            body: self.body,
            proof,
        }
    }
}

/// A request that somebody has authorised.
#[derive(Debug)]
pub struct Authorised<P> {
    /// Everything but the body.
    head: Box<Head>,
    /// The body.
    body: Unread,
    /// What the check found: who is calling.
    proof: P,
}

impl<P> Authorised<P> {
    /// Everything but the body.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// What the check found.
    pub fn proof(&self) -> &P {
        &self.proof
    }

    /// Reads the body, up to `bytes_max` bytes and within `timeout` (`Limits::body_timeout`).
    ///
    /// # Errors
    ///
    /// [`BodyError`], when it is too long, too slow or cut off.
    pub async fn body(mut self, bytes_max: usize, timeout: Duration) -> Result<Bytes, BodyError> {
        match tokio::time::timeout(timeout, self.body.read(bytes_max)).await {
            Ok(read) => read,
            Err(_elapsed) => Err(BodyError::Timeout { timeout }),
        }
    }
}

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Longer than allowed here.
    #[error("the body is longer than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// Not complete in time.
    #[error("the body did not arrive within {} s", timeout.as_secs_f32())]
    Timeout {
        /// The time it had.
        timeout: Duration,
    },
    /// The client went away, or its framing is broken. There may be nobody to answer.
    #[error("the body is cut off or its framing is broken")]
    Aborted,
}

/// Where a body that was not read to its end is found: in HTTP/1 it lies in front of the next request, in HTTP/2
/// its stream must not be reset before the answer has been read.
#[derive(Debug, Default)]
pub(super) struct Leftover(Mutex<Option<Incoming>>);

impl Leftover {
    /// Takes the body out, when there is one.
    pub(super) fn take(&self) -> Option<Incoming> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Puts a body in.
    fn put(&self, body: Incoming) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
    }
}

/// A body on its way. Dropped before its end it goes where its exchange finds it.
#[derive(Debug)]
pub(super) struct Unread {
    /// The body, until it has been read.
    incoming: Option<Incoming>,
    /// Where the rest goes.
    leftover: Arc<Leftover>,
}

impl Unread {
    /// A body as it arrives.
    pub(super) fn new(incoming: Incoming, leftover: Arc<Leftover>) -> Self {
        Self {
            incoming: Some(incoming),
            leftover,
        }
    }

    /// Reads all of it.
    async fn read(&mut self, bytes_max: usize) -> Result<Bytes, BodyError> {
        let Some(incoming) = &mut self.incoming else {
            return Ok(Bytes::new());
        };
        let too_large = BodyError::TooLarge { bytes_max };
        let announced = usize::try_from(incoming.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > bytes_max {
            return Err(too_large);
        }
        let mut first = Bytes::new();
        let mut all = Vec::new();
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|_error| BodyError::Aborted)?;
            // Trailers carry nothing that SCIM knows.
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let so_far = first.len().max(all.len());
            if data.len() > bytes_max.saturating_sub(so_far) {
                return Err(too_large);
            }
            if so_far == 0 {
                // Nearly every body arrives in one piece, and then is not copied.
                first = data;
                continue;
            }
            if all.is_empty() {
                all.reserve(announced.max(so_far.saturating_add(data.len())));
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&data);
        }
        self.incoming = None;
        Ok(if all.is_empty() { first } else { all.into() })
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(incoming) = self.incoming.take()
            && !incoming.is_end_stream()
        {
            self.leftover.put(incoming);
        }
    }
}
