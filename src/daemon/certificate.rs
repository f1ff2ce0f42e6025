//! The certificate while Rollcall runs: what is said of it, and when it is looked at again.

use std::sync::Arc;
use std::time::Duration;

use crate::http::Summary;
use crate::http::Tls;
use crate::http::TlsError;
use crate::telemetry::metrics::Metrics;

/// How often the certificate is looked at: the local CA renews its leaf in time, and files that were
/// replaced are picked up.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// Says which certificate is in use and what may fail with it. `host` is the name clients use.
pub fn tell(summary: &Summary, host: &str, metrics: &Metrics) {
    metrics
        .tls_expiry_s
        .set(summary.not_after.millis().div_euclid(1000));
    tracing::info!(
        "certificate in use: {} for {}, issued by {}, valid until {}",
        summary.subject,
        summary.names.join(", "),
        summary.issuer,
        summary.not_after
    );
    for warning in &summary.warnings {
        tracing::warn!("certificate: {warning}");
    }
    if !summary.covers(host) {
        tracing::warn!(
            "certificate: it is not for {host}, the host in server.public_url; clients will refuse the \
             connection. Use a certificate for that name, or correct server.public_url"
        );
    }
}

/// Says what came of reading certificate and key again.
pub fn tell_reload(outcome: Result<Arc<Summary>, TlsError>, host: &str, metrics: &Metrics) {
    match outcome {
        Ok(summary) => tell(&summary, host, metrics),
        Err(error) => tracing::error!(
            "the certificate was not reloaded; the old one stays in use: {error}. {}",
            error.fix()
        ),
    }
}

/// Looks at the certificate now and then, for as long as Rollcall runs.
pub async fn look_after(tls: Tls, host: String, metrics: Arc<Metrics>) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    // The first tick is at once: the certificate has just been loaded.
    every.tick().await;
    loop {
        every.tick().await;
        let (tls, host, metrics) = (tls.clone(), host.clone(), Arc::clone(&metrics));
        let look = move || {
            let before = tls.summary().fingerprint.clone();
            match tls.reload() {
                // Nothing new is no news.
                Ok(summary) if summary.fingerprint == before => {}
                outcome => tell_reload(outcome, &host, &metrics),
            }
        };
        // The task only fails if looking panics, and the next round tries again.
        drop(tokio::task::spawn_blocking(look).await);
    }
}
