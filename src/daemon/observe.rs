//! The listener for those who watch: `/metrics`, `/livez`, `/readyz`. Plain HTTP, on loopback unless
//! configured otherwise; it tells nothing about people.

use std::sync::Arc;

use crate::base::ident::RequestId;
use crate::http::Answer;
use crate::http::Fault;
use crate::http::HeaderValue;
use crate::http::Method;
use crate::http::Received;
use crate::http::Service;
use crate::http::StatusCode;
use crate::http::header;
use crate::store::Store;
use crate::telemetry::metrics::Exposition;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::Route;

/// Media type of short answers.
const TEXT: &str = "text/plain; charset=utf-8";

/// Answers those who watch.
#[derive(Debug)]
pub struct Observe {
    /// What is counted.
    metrics: Arc<Metrics>,
    /// Whether writes are taken, and how much there is.
    store: Store,
}

impl Observe {
    /// Over these counters and this store.
    pub const fn new(metrics: Arc<Metrics>, store: Store) -> Self {
        Self { metrics, store }
    }

    /// `/metrics`: the counters, and what the store says of itself.
    fn metrics(&self) -> Answer {
        let mut exposition = self.metrics.exposition();
        let health = self.store.health();
        let mut gauge = |name: &str, help: &str, samples: &[(&[(&str, &str)], u64)]| {
            exposition.family(name, "gauge", help);
            for (labels, value) in samples {
                exposition.sample(name, labels, value);
            }
        };
        gauge(
            "rollcall_storage_bytes",
            "Bytes on disk, by part of the store.",
            &[
                (&[("part", "log")], health.log_bytes),
                (&[("part", "state")], health.state_bytes),
                (&[("part", "base")], health.parts.base),
                (&[("part", "history")], health.parts.history),
                (&[("part", "audit")], health.parts.audit),
                (&[("part", "snapshot")], health.parts.snapshot),
                (&[("part", "reserve")], health.parts.reserve),
                (&[("part", "other_states")], health.parts.other_states),
            ],
        );
        gauge(
            "rollcall_storage_live_bytes",
            "Bytes of all users and groups as they are stored.",
            &[(&[], health.live_bytes)],
        );
        gauge(
            "rollcall_storage_damaged_copies",
            "Stored copies that are damaged, by what becomes of them.",
            &[
                (&[("outcome", "repairing")], health.repairing),
                (&[("outcome", "lost")], health.lost),
            ],
        );
        gauge(
            "rollcall_storage_free_bytes",
            "Free bytes on the file system.",
            &[(&[], health.free_bytes)],
        );
        gauge(
            "rollcall_storage_writable",
            "1 when writes are taken.",
            &[(&[], u64::from(health.writable.is_ok()))],
        );
        gauge(
            "rollcall_change_sequence",
            "Number of the last committed transaction.",
            &[(&[], health.seq)],
        );
        let mut counter = |name: &str, help: &str, value: u64| {
            exposition.family(name, "counter", help);
            exposition.sample(name, &[], value);
        };
        counter(
            "rollcall_storage_damaged_reads_total",
            "Reads that found a stored copy lost or damaged.",
            health.damaged_reads,
        );
        counter(
            "rollcall_storage_repaired_total",
            "Stored copies that were put right.",
            health.repaired,
        );
        Answer::new(StatusCode::OK)
            .with_body(Exposition::MEDIA_TYPE, exposition.into_text())
            .with_route(Route::Metrics)
    }

    /// `/readyz`: whether writes are taken, and if not, why.
    fn ready(&self) -> Answer {
        let answer = match self.store.health().writable {
            Ok(()) => Answer::new(StatusCode::OK).with_body(TEXT, "ready\n"),
            Err(reason) => Answer::new(StatusCode::SERVICE_UNAVAILABLE)
                .with_body(TEXT, format!("storage: {reason}\n")),
        };
        answer.with_route(Route::Health)
    }
}

impl Service for Observe {
    async fn call(&self, request: Received) -> Answer {
        if !matches!(*request.head().method(), Method::GET | Method::HEAD) {
            return Answer::new(StatusCode::METHOD_NOT_ALLOWED)
                .with_header(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        match request.head().path() {
            "/metrics" => self.metrics(),
            "/livez" => Answer::new(StatusCode::OK)
                .with_body(TEXT, "alive\n")
                .with_route(Route::Health),
            "/readyz" => self.ready(),
            _ => Answer::new(StatusCode::NOT_FOUND)
                .with_body(TEXT, "here are /metrics, /livez and /readyz\n"),
        }
    }

    fn fault(&self, fault: Fault, _request_id: RequestId) -> Answer {
        Answer::new(match fault {
            Fault::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
            Fault::UrlTooLong { .. } => StatusCode::URI_TOO_LONG,
            Fault::HeadersTooLong { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        })
    }
}
