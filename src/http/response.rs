//! Answers, and the headers that every one has.

use hyper::Response;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;

use crate::base::ident::RequestId;
use crate::http::body::AnswerBody;
use crate::telemetry::metrics::Route;

/// The header that carries the request's id.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Directory data is nobody's to keep, shared caches least of all (RFC 9111 §5.2.2.5).
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Browsers are to believe the media type.
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// What a request is answered. `X-Request-Id`, `Cache-Control: no-store` (unless set), `X-Content-Type-Options`,
/// `Date` and the length are added when it is sent; there is no banner.
#[derive(Debug)]
pub struct Answer {
    /// Status, headers and body so far.
    response: Response<AnswerBody>,
    /// What was asked for, for the counters.
    route: Route,
}

impl Answer {
    /// An answer without a body.
    pub fn new(status: StatusCode) -> Self {
        let mut response = Response::new(AnswerBody::default());
        *response.status_mut() = status;
        // Content-Type, ETag, Location and what every answer has: one allocation.
        response.headers_mut().reserve(8);
        Self {
            response,
            route: Route::Other,
        }
    }

    /// With a body of this media type.
    #[must_use]
    pub fn with_body(mut self, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        *self.response.body_mut() = AnswerBody::whole(body.into());
        self.with_header(header::CONTENT_TYPE, HeaderValue::from_static(media_type))
    }

    /// With a body of this media type and of `length` bytes, made while the client takes it, so that it is never in memory as
    /// a whole. A piece should have 16 to 64 KiB and take no longer than some tens of microseconds. Pieces that do not add
    /// up to the length break the answer off.
    #[must_use]
    pub fn with_pieces(
        mut self,
        media_type: &'static str,
        length: u64,
        pieces: impl Iterator<Item = Bytes> + Send + 'static,
    ) -> Self {
        *self.response.body_mut() = AnswerBody::pieces(length, pieces);
        self.with_header(header::CONTENT_TYPE, HeaderValue::from_static(media_type))
    }

    /// With a header, in place of one of that name.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.response.headers_mut().insert(name, value);
        self
    }

    /// With a header whose value is made at run time. A value that cannot stand in a header (a control character, which no
    /// value of ours has) is left out.
    #[must_use]
    pub fn with_text(self, name: HeaderName, value: String) -> Self {
        match HeaderValue::try_from(value) {
            Ok(value) => self.with_header(name, value),
            Err(_) => self,
        }
    }

    /// Says what was asked for, for the counters.
    #[must_use]
    pub fn with_route(mut self, route: Route) -> Self {
        self.route = route;
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// What was asked for.
    pub fn route(&self) -> Route {
        self.route
    }

    /// The answer as it is sent.
    pub(super) fn into_response(
        self,
        request_id: RequestId,
        to_head: bool,
    ) -> Response<AnswerBody> {
        let mut response = self.response;
        if to_head {
            strip(&mut response);
        }
        let headers = response.headers_mut();
        headers.insert(X_REQUEST_ID, spelled(request_id));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
        response
    }
}

/// Takes the body away and leaves its length (RFC 9110 §9.3.2).
fn strip(response: &mut Response<AnswerBody>) {
    use hyper::body::Body;

    let length = response.body().size_hint().lower();
    if length > 0 {
        *response.body_mut() = AnswerBody::default();
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, length.into());
    }
}

/// The id as a header's value: 32 hexadecimal digits.
fn spelled(request_id: RequestId) -> HeaderValue {
    let digit = |nibble: u8| match nibble {
        0..=9 => b'0' | nibble,
        // 0x60 is the character before 'a'.
        _ => 0x60 | (nibble - 9),
    };
    let mut text = [0_u8; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(request_id.to_bytes()) {
        if let [high, low] = pair {
            (*high, *low) = (digit(byte >> 4), digit(byte & 0xf));
        }
    }
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use hyper::body::Body;
    use hyper::header;

    use crate::base::ident::RequestId;
    use crate::http::response::Answer;
    use crate::http::response::spelled;

    #[test]
    fn an_id_in_a_header_is_spelled_as_in_the_log() {
        let id = RequestId::from_bytes(*b"\x00\x01\x09\x0a\x0f\x10\x9a\xaf\xf0\xffabcdef");
        assert_eq!(spelled(id).to_str().unwrap(), id.to_string());
    }

    #[test]
    fn every_answer_has_its_headers() {
        let id = RequestId::from_bytes([0; 16]);
        let plain = Answer::new(StatusCode::NO_CONTENT).into_response(id, false);
        let mut headers: Vec<String> = plain
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        headers.sort();
        assert_eq!(
            headers,
            [
                "cache-control: no-store",
                "x-content-type-options: nosniff",
                "x-request-id: 00000000000000000000000000000000",
            ]
        );
        let cached = Answer::new(StatusCode::OK)
            .with_text(header::CACHE_CONTROL, "private".to_owned())
            .into_response(id, false);
        assert_eq!(cached.headers()[header::CACHE_CONTROL], "private");
    }

    #[test]
    fn the_answer_to_head_keeps_the_length() {
        for answer in [
            Answer::new(StatusCode::OK).with_body("text/plain", "hello"),
            Answer::new(StatusCode::OK).with_pieces("text/plain", 5, std::iter::empty()),
        ] {
            let response = answer.into_response(RequestId::from_bytes([0; 16]), true);
            assert_eq!(response.headers()[header::CONTENT_LENGTH], "5");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain");
            assert!(response.body().is_end_stream());
        }
    }
}
