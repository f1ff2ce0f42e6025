//! An answer as the SCIM endpoints mean it, before it becomes HTTP.

use std::fmt;

use crate::http::Answer;
use crate::http::Bytes;
use crate::http::HeaderValue;
use crate::http::StatusCode;
use crate::http::header;
use crate::scim::error::ScimError;

/// Media type of every SCIM answer (RFC 7644 §8.1).
const SCIM_JSON: &str = "application/scim+json";

/// An answer: status, the headers SCIM cares about, body.
#[derive(Debug, Default)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The resource's version (RFC 7644 §3.14).
    pub etag: Option<String>,
    /// Where the resource is.
    pub location: Option<String>,
    /// The methods the endpoint knows; with 405 and for `OPTIONS`.
    pub allow: Option<&'static str>,
    /// `WWW-Authenticate` (RFC 6750 §3).
    pub challenge: Option<&'static str>,
    /// `Retry-After`, in seconds.
    pub retry_after_s: Option<u32>,
    /// JSON, or nothing.
    pub body: Content,
}

/// The body of an answer.
#[derive(Default)]
pub enum Content {
    /// Nothing.
    #[default]
    Nothing,
    /// JSON.
    Whole(Vec<u8>),
    /// JSON that is made while it is sent.
    Pieces {
        /// Bytes of all pieces.
        length: u64,
        /// The pieces, as `Answer::with_pieces` wants them.
        pieces: Box<dyn Iterator<Item = Bytes> + Send>,
    },
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Whole(body) => write!(f, "Whole({} bytes)", body.len()),
            Self::Pieces { length, .. } => write!(f, "Pieces({length} bytes)"),
        }
    }
}

impl Reply {
    /// An answer without body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// An answer with a JSON body.
    pub fn json(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            body: Content::Whole(body),
            ..Self::default()
        }
    }

    /// An answer with a JSON body of `length` bytes that is made while the client takes it.
    pub fn pieces(
        status: u16,
        length: u64,
        pieces: impl Iterator<Item = Bytes> + Send + 'static,
    ) -> Self {
        Self {
            status,
            body: Content::Pieces {
                length,
                pieces: Box::new(pieces),
            },
            ..Self::default()
        }
    }

    /// A SCIM error (RFC 7644 §3.12).
    pub fn error(status: u16, scim_type: Option<&str>, detail: &str) -> Self {
        Self::json(status, ScimError::body(status, scim_type, detail))
    }
}

impl Reply {
    /// The answer in HTTP's terms.
    pub fn into_answer(self) -> Answer {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = Answer::new(status);
        if let Some(etag) = self.etag {
            answer = answer.with_text(header::ETAG, etag);
        }
        if let Some(location) = self.location {
            answer = answer.with_text(header::LOCATION, location);
        }
        if let Some(allow) = self.allow {
            answer = answer.with_header(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(challenge) = self.challenge {
            answer = answer.with_header(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        if let Some(seconds) = self.retry_after_s {
            answer = answer.with_header(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        match self.body {
            Content::Nothing => answer,
            Content::Whole(body) => answer.with_body(SCIM_JSON, body),
            Content::Pieces { length, pieces } => answer.with_pieces(SCIM_JSON, length, pieces),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use crate::api::reply::Reply;
    use crate::http::Bytes;

    #[test]
    fn the_log_is_spared_the_body() {
        let piece = iter::once(Bytes::from_static(b"{}"));
        for (reply, body) in [
            (Reply::empty(204), "Nothing"),
            (Reply::json(200, b"{}".to_vec()), "Whole(2 bytes)"),
            (Reply::pieces(200, 2, piece), "Pieces(2 bytes)"),
        ] {
            assert_eq!(format!("{:?}", reply.body), body);
        }
    }
}
