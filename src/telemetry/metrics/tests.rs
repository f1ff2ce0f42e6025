//! Tests of the counters and their text.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::telemetry::metrics::Listener;
use crate::telemetry::metrics::Method;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::Route;
use crate::telemetry::metrics::numbers::NAMES_MAX;
use crate::telemetry::metrics::numbers::Named;

#[test]
fn what_was_counted_is_exposed_and_nothing_else() {
    let metrics = Metrics::default();
    for (status, millis) in [(200, 1), (200, 3), (999, 20_000)] {
        metrics.http_answered(
            Listener::Scim,
            Route::User,
            Method::named("GET"),
            status,
            Duration::from_millis(millis),
        );
    }
    metrics.auth_failures.add_one("auth.unknown");
    metrics.scim_error("a\"b", "invalidValue");
    metrics.scim_request("a\"b", Timestamp::from_millis(5_999));
    let text = metrics.exposition().into_text();
    let samples: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.ends_with(" 0"))
        .filter(|line| !line.contains("build_info") && !line.contains("le=\"0.0"))
        .collect();
    let labels = "listener=\"scim\",route=\"/Users/{id}\",method=\"GET\"";
    let duration = "rollcall_http_request_duration_seconds";
    let mut expected = vec![
        format!("rollcall_http_requests_total{{{labels},status=\"200\"}} 2"),
        format!("rollcall_http_requests_total{{{labels},status=\"other\"}} 1"),
    ];
    for le in ["0.1", "0.25", "0.5", "1", "2.5", "10"] {
        expected.push(format!("{duration}_bucket{{{labels},le=\"{le}\"}} 2"));
    }
    expected.push(format!("{duration}_bucket{{{labels},le=\"+Inf\"}} 3"));
    expected.push(format!("{duration}_sum{{{labels}}} 20.004"));
    expected.push(format!("{duration}_count{{{labels}}} 3"));
    expected.push("rollcall_auth_failures_total{reason=\"auth.unknown\"} 1".to_owned());
    let directory = "directory=\"a\\\"b\"";
    expected.push(format!(
        "rollcall_scim_errors_total{{{directory},reason=\"invalidValue\"}} 1"
    ));
    expected.push(format!(
        "rollcall_scim_last_request_timestamp_seconds{{{directory}}} 5"
    ));
    assert_eq!(samples, expected);
}

#[test]
fn names_beyond_the_table_count_as_other() {
    let named = Named::default();
    for number in 0..NAMES_MAX + 2 {
        named.add_one(format!("name-{number}").leak());
    }
    named.add_one("name-0");
    assert_eq!(named.get("name-0"), 2);
    assert_eq!(named.all().count(), NAMES_MAX + 1);
    assert_eq!(named.all().last(), Some(("other", 2)));
}

#[test]
fn a_method_is_known_by_its_exact_name() {
    for (name, label) in [
        ("GET", "GET"),
        ("PATCH", "PATCH"),
        ("get", "other"),
        ("BREW", "other"),
    ] {
        assert_eq!(Method::named(name).label(), label, "{name}");
    }
}
