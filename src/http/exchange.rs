//! One request and its answer: what the listener does around the service.

use std::convert::Infallible;
use std::future::Future;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use http_body_util::BodyExt;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::body::Body;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::header;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;

use crate::base::ident::IdSource;
use crate::base::ident::RequestId;
use crate::http::activity::Activity;
use crate::http::body::AnswerBody;
use crate::http::cidr::Cidr;
use crate::http::forwarded;
use crate::http::limits::Limits;
use crate::http::request::Head;
use crate::http::request::Leftover;
use crate::http::request::Received;
use crate::http::request::Unread;
use crate::http::response::Answer;
use crate::telemetry::metrics::Listener;
use crate::telemetry::metrics::Method as MethodLabel;
use crate::telemetry::metrics::Metrics;

/// What answers requests.
pub trait Service: Send + Sync + 'static {
    /// Answers one request. When the client goes away the future is dropped, so a write must not be a part of it.
    fn call(&self, request: Received) -> impl Future<Output = Answer> + Send;

    /// Words the answer to a request that did not get as far as [`Service::call`], or panicked in it.
    fn fault(&self, fault: Fault, request_id: RequestId) -> Answer;
}

/// Why the listener itself answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The service panicked; it has been logged (500).
    Panicked,
    /// The path and query are too long (414).
    UrlTooLong {
        /// The bound.
        bytes_max: usize,
    },
    /// The header block is too long (431).
    HeadersTooLong {
        /// The bound.
        bytes_max: usize,
    },
}

/// What all connections of a listener share.
pub(super) struct Shared<S> {
    /// What answers.
    pub(super) service: Arc<S>,
    /// The bounds.
    pub(super) limits: Arc<Limits>,
    /// Who may say for whom a request is passed on.
    pub(super) trusted_proxies: Arc<[Cidr]>,
    /// Where request ids come from.
    pub(super) ids: Arc<dyn IdSource>,
    /// The counters.
    pub(super) metrics: Arc<Metrics>,
    /// Which listener this is, for the counters.
    pub(super) name: Listener,
}

/// What all requests of a connection share.
pub(super) struct Link {
    /// The other end.
    pub(super) peer: SocketAddr,
    /// Where an unread body is found: of the connection in HTTP/1; in HTTP/2 each stream has its own.
    pub(super) leftover: Option<Arc<Leftover>>,
    /// When something last happened.
    pub(super) activity: Arc<Activity>,
}

/// Counts a request as running while it lives.
struct InFlight<'a> {
    /// The gauge.
    metrics: &'a Metrics,
    /// The connection's clock.
    activity: &'a Activity,
}

impl<'a> InFlight<'a> {
    /// One more.
    fn begin(metrics: &'a Metrics, activity: &'a Activity) -> Self {
        metrics.http_in_flight.add(1);
        activity.request_begins();
        Self { metrics, activity }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.metrics.http_in_flight.add(-1);
        self.activity.request_ends();
    }
}

/// Answers one request.
pub(super) async fn exchange<S: Service>(
    shared: Arc<Shared<S>>,
    link: Arc<Link>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    let started = Instant::now();
    let _in_flight = InFlight::begin(&shared.metrics, &link.activity);
    let request_id = RequestId::random(&*shared.ids);
    let (parts, incoming) = request.into_parts();
    let to_head = parts.method == Method::HEAD;
    let method = MethodLabel::named(parts.method.as_str());
    // RFC 9110 §10.1.1: a client that asked first has not sent its body, and never will after a final answer.
    let asked_first = parts.headers.contains_key(header::EXPECT);
    let leftover = link.leftover.clone().unwrap_or_default();
    let body = Unread::new(incoming, Arc::clone(&leftover));
    let answer = match oversize(&parts, &shared.limits) {
        Some(fault) => {
            drop(body);
            shared.service.fault(fault, request_id)
        }
        None => {
            let client = forwarded::client(link.peer.ip(), &parts.headers, &shared.trusted_proxies);
            let head = Box::new(Head {
                parts,
                client,
                request_id,
            });
            answer(&shared, Received { head, body }).await
        }
    };
    let (route, status) = (answer.route(), answer.status());
    let mut response = answer.into_response(request_id, to_head);
    response
        .body_mut()
        .begin(request_id, &shared.metrics, &link.activity);
    if let Some(rest) = leftover.take() {
        if link.leftover.is_none() {
            // HTTP/2: other streams go on, and a stream that is reset takes its answer along (RFC 9113
            // §8.1). The client gets the answer first and time to stop sending.
            tokio::spawn(linger(rest, Arc::clone(&shared.limits)));
        } else if asked_first
            || !discarded(
                rest,
                shared.limits.unread_bytes_max,
                shared.limits.linger_timeout,
            )
            .await
        {
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
    shared.metrics.http_answered(
        shared.name,
        route,
        method,
        status.as_u16(),
        started.elapsed(),
    );
    Ok(response)
}

/// Whether URL or headers are longer than allowed.
fn oversize(parts: &Parts, limits: &Limits) -> Option<Fault> {
    let url = parts.uri.path().len() + parts.uri.query().map_or(0, |query| query.len() + 1);
    if url > limits.url_bytes_max {
        let bytes_max = limits.url_bytes_max;
        return Some(Fault::UrlTooLong { bytes_max });
    }
    // As in RFC 9112 §5: name, colon, space, value, line end.
    let headers: usize = parts
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    let bytes_max = limits.header_bytes_max;
    (headers > bytes_max).then_some(Fault::HeadersTooLong { bytes_max })
}

/// Lets the service answer; a panic in it is an answer, too.
async fn answer<S: Service>(shared: &Shared<S>, request: Received) -> Answer {
    let request_id = request.head.request_id;
    let mut future = pin!(async { shared.service.call(request).await });
    // The service shares nothing with us that a panic could leave half done: the request is its own.
    let outcome = poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(answer)) => Poll::Ready(Some(answer)),
            Err(_panic) => Poll::Ready(None),
        },
    )
    .await;
    outcome.unwrap_or_else(|| {
        shared.metrics.panics.add_one();
        // Where it happened is in the record that the panic hook wrote.
        tracing::error!(%request_id, reason = "panic", "a request ended in a panic and was answered 500");
        shared.service.fault(Fault::Panicked, request_id)
    })
}

/// Takes what a client still sends on a stream that has been answered, within bounds.
async fn linger(rest: Incoming, limits: Arc<Limits>) {
    discarded(rest, limits.linger_bytes_max, limits.linger_timeout).await;
}

/// Reads the rest of a body that nobody wanted and throws it away, so that the connection can be used again. Tells
/// whether its end was reached within the bounds.
async fn discarded(mut rest: Incoming, bytes_max: usize, timeout: Duration) -> bool {
    let announced = usize::try_from(rest.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bytes_max {
        return false;
    }
    let read = async {
        let mut bytes = 0_usize;
        while let Some(frame) = rest.frame().await {
            let Ok(frame) = frame else { return false };
            bytes = bytes.saturating_add(frame.data_ref().map_or(0, Bytes::len));
            if bytes > bytes_max {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(timeout, read).await.unwrap_or(false)
}
