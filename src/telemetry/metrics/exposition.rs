//! The counters as text: the text format of Prometheus, version 0.0.4.

use std::fmt;
use std::fmt::Write as _;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::telemetry::metrics::Cell;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::STATUSES;
use crate::telemetry::metrics::labels::Listener;
use crate::telemetry::metrics::labels::Method;
use crate::telemetry::metrics::labels::Route;
use crate::telemetry::metrics::numbers::BUCKETS;

impl Metrics {
    /// Everything in the text format of Prometheus, version 0.0.4. Families of the caller can be added to it.
    pub fn exposition(&self) -> Exposition {
        let mut out = Exposition::default();
        out.family("rollcall_build_info", "gauge", "Which build runs.");
        let version = ("version", env!("CARGO_PKG_VERSION"));
        out.sample("rollcall_build_info", &[version], 1);
        self.expose_http(&mut out);
        self.expose_durations(&mut out);
        self.expose_named(&mut out);
        self.expose_directories(&mut out);
        out
    }

    /// Counts of requests, and the gauges of the listener.
    fn expose_http(&self, out: &mut Exposition) {
        let name = "rollcall_http_requests_total";
        out.family(name, "counter", "Requests answered.");
        for (labels, cell) in self.used_cells() {
            let [listener, route, method] = labels;
            for (status, counter) in STATUSES.iter().zip(&cell.statuses) {
                if counter.get() > 0 {
                    let status = match *status {
                        0 => "other".to_owned(),
                        known => known.to_string(),
                    };
                    let status = ("status", status.as_str());
                    out.sample(name, &[listener, route, method, status], counter.get());
                }
            }
        }
        for (name, gauge, help) in [
            (
                "rollcall_http_requests_in_flight",
                &self.http_in_flight,
                "Requests begun and not answered yet.",
            ),
            (
                "rollcall_http_connections",
                &self.http_connections,
                "Open connections.",
            ),
            (
                "rollcall_tls_certificate_expiry_timestamp_seconds",
                &self.tls_expiry_s,
                "When the certificate in use expires; 0 without TLS.",
            ),
        ] {
            out.family(name, "gauge", help);
            out.sample(name, &[], gauge.get());
        }
        let name = "rollcall_panics_total";
        out.family(name, "counter", "Panics that were caught.");
        out.sample(name, &[], self.panics.get());
    }

    /// The histogram of durations.
    fn expose_durations(&self, out: &mut Exposition) {
        let name = "rollcall_http_request_duration_seconds";
        out.family(
            name,
            "histogram",
            "Time from the head of a request to its answer.",
        );
        for ([listener, route, method], cell) in self.used_cells() {
            let labels = [listener, route, method];
            let mut count = 0_u64;
            for ((_, le), bucket) in BUCKETS.iter().zip(&cell.duration.buckets) {
                count = count.saturating_add(bucket.load(Ordering::Relaxed));
                let labels = [listener, route, method, ("le", *le)];
                out.sample(&format!("{name}_bucket"), &labels, count);
            }
            count = count.saturating_add(cell.duration.above.load(Ordering::Relaxed));
            let all = [listener, route, method, ("le", "+Inf")];
            out.sample(&format!("{name}_bucket"), &all, count);
            let sum = Duration::from_micros(cell.duration.sum_micros.load(Ordering::Relaxed));
            out.sample(&format!("{name}_sum"), &labels, sum.as_secs_f64());
            out.sample(&format!("{name}_count"), &labels, count);
        }
    }

    /// The cells that have counted something, with their labels.
    fn used_cells(&self) -> impl Iterator<Item = ([(&'static str, &'static str); 3], &Cell)> {
        let labels = Listener::ALL.iter().flat_map(|listener| {
            Route::ALL.iter().flat_map(move |route| {
                Method::ALL.iter().map(move |method| {
                    [
                        ("listener", listener.label()),
                        ("route", route.label()),
                        ("method", method.label()),
                    ]
                })
            })
        });
        labels
            .zip(self.cells())
            .filter(|(_, cell)| cell.statuses.iter().any(|counter| counter.get() > 0))
    }

    /// The families with a name for a label.
    fn expose_named(&self, out: &mut Exposition) {
        for (name, label, help, named) in [
            (
                "rollcall_tls_handshake_failures_total",
                "alert",
                "TLS handshakes that failed.",
                &self.tls_handshake_failures,
            ),
            (
                "rollcall_auth_failures_total",
                "reason",
                "Refused credentials.",
                &self.auth_failures,
            ),
            (
                "rollcall_auth_checks_total",
                "how",
                "Tokens checked: remembered, or by argon2.",
                &self.auth_cache,
            ),
            (
                "rollcall_scim_dialect_notes_total",
                "code",
                "Deviations of clients that were mended.",
                &self.dialect_notes,
            ),
        ] {
            out.family(name, "counter", help);
            for (value, count) in named.all() {
                out.sample(name, &[(label, value)], count);
            }
        }
    }

    /// The families by directory.
    fn expose_directories(&self, out: &mut Exposition) {
        let all = self
            .directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let name = "rollcall_scim_errors_total";
        out.family(name, "counter", "SCIM errors sent.");
        for (directory, seen) in all.iter() {
            for (reason, count) in &seen.errors {
                let labels = [("directory", &**directory), ("reason", reason)];
                out.sample(name, &labels, count);
            }
        }
        let (requests, writes) = (
            "rollcall_scim_last_request_timestamp_seconds",
            "rollcall_scim_last_write_timestamp_seconds",
        );
        out.family(requests, "gauge", "When a known token's request last came.");
        for (directory, at) in all
            .iter()
            .filter_map(|(name, seen)| Some((name, seen.last_request?)))
        {
            out.sample(
                requests,
                &[("directory", directory)],
                at.millis().div_euclid(1_000),
            );
        }
        out.family(writes, "gauge", "When a write was last acknowledged.");
        for (directory, at) in all
            .iter()
            .filter_map(|(name, seen)| Some((name, seen.last_write?)))
        {
            out.sample(
                writes,
                &[("directory", directory)],
                at.millis().div_euclid(1_000),
            );
        }
    }
}

/// Text in the making, in the text format of Prometheus.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// The media type of the text.
    pub const MEDIA_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Opens a family: its samples follow.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// One sample of the family opened last.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl fmt::Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            self.push(format_args!("{before}{label}=\""));
            for c in text.chars() {
                match c {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        self.push(format_args!(" {value}\n"));
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.0
    }

    /// Adds formatted text.
    fn push(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a String cannot fail; a Display that fails leaves its sample short.
        self.0.write_fmt(text).unwrap_or_default();
    }
}
