//! An answer as the SCIM endpoints mean it, before it becomes HTTP.

use crate::http::Answer;
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
    pub body: Option<Vec<u8>>,
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
            body: Some(body),
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
            Some(body) => answer.with_body(SCIM_JSON, body),
            None => answer,
        }
    }
}
