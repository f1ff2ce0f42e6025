//! `rollcall serve`: the foreground process that systemd supervises.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::base::clock::SystemClock;
use crate::base::ident::RandomIds;
use crate::config::Config;
use crate::daemon::convert;
use crate::daemon::error::Reason;
use crate::daemon::error::StartError;
use crate::daemon::run::Running;
use crate::daemon::run::Seams;
use crate::daemon::run::start_with;
use crate::telemetry;
use crate::telemetry::log::LogHandle;

/// How long a failed store may go on answering reads before the process ends for a restart.
const FAILED_PATIENCE_MS: i64 = 10_000;
/// How often the store is asked whether it has failed.
const HEALTH_EVERY: Duration = Duration::from_secs(1);
/// How much longer systemd is asked to wait at each step of a long start, in microseconds.
const EXTEND_US: u32 = 60_000_000;

/// Serves until told to stop.
///
/// # Errors
///
/// [`StartError`] when it does not start, or cannot go on.
pub fn serve(config: &Config, surroundings: &Surroundings) -> Result<(), StartError> {
    let settings = convert::log(config, surroundings.journal_stream.clone());
    let log = telemetry::log::init(&settings).map_err(Reason::from)?;
    for notice in config.notices() {
        tracing::warn!("{notice}");
    }
    let seams = Seams {
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds::default()),
    };
    let running = start_with(config, seams, &|step| {
        tracing::info!("starting: {step}");
        tell(&[
            NotifyState::Status(step),
            NotifyState::ExtendTimeoutUsec(EXTEND_US),
        ]);
    })?;
    for address in running.addresses() {
        tracing::info!("serving SCIM on {address} as {}", config.server.public_url);
    }
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
    let outcome = wait(&running, &mut || match (surroundings.reread)() {
        // Compared with what the start used, so that what waits for a restart is named each time.
        Ok(new) => apply(&running, &log, config, &new),
        Err(problems) => {
            tracing::error!(
                "the configuration was not reloaded; the old one stays in use: {problems}"
            );
        }
    });
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("finishing running requests"),
    ]);
    tracing::info!("stopping");
    running.stop();
    tracing::info!("stopped");
    Ok(outcome?)
}

/// What the process brings along from outside.
pub struct Surroundings {
    /// The environment's `JOURNAL_STREAM`: how systemd says that stderr is the journal.
    pub journal_stream: Option<String>,
    /// Reads the configuration again; the error names every problem.
    pub reread: Box<dyn Fn() -> Result<Config, String>>,
}

/// Keys that a reload applies. All others need a restart.
const RELOADED: [&str; 4] = ["log.level", "tls.mode", "tls.chain", "tls.key"];

/// Applies what can be applied while running, and names what cannot: where it differs from what
/// Rollcall was started with.
fn apply(running: &Running, log: &LogHandle, started: &Config, new: &Config) {
    if let Err(error) = log.set_level(convert::level(new)) {
        tracing::error!("log.level stays as it is: {error}");
    }
    running.reload(new);
    let waiting: Vec<_> = new
        .entries()
        .iter()
        .zip(started.entries())
        .filter(|(new, started)| new.value != started.value && !RELOADED.contains(&new.key))
        .map(|(new, _started)| new.key)
        .collect();
    if waiting.is_empty() {
        tracing::info!("configuration reloaded");
    } else {
        tracing::warn!(
            "configuration reloaded; a restart is needed for {}",
            waiting.join(", ")
        );
    }
}

/// What ended the waiting.
enum Event {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
    /// A second went by.
    Tick,
}

/// Waits for signals, and watches the store.
pub(in crate::daemon) fn wait(running: &Running, reload: &mut dyn FnMut()) -> Result<(), Reason> {
    running.runtime().block_on(async {
        let listen = |kind| {
            signal(kind).map_err(|source| Reason::System {
                doing: "listen for signals",
                source,
            })
        };
        let mut terminate = listen(SignalKind::terminate())?;
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut hangup = listen(SignalKind::hangup())?;
        let mut health = tokio::time::interval(HEALTH_EVERY);
        loop {
            let event = tokio::select! {
                _ = terminate.recv() => Event::Stop,
                _ = interrupt.recv() => Event::Stop,
                _ = hangup.recv() => Event::Reload,
                _ = health.tick() => Event::Tick,
            };
            match event {
                Event::Stop => return Ok(()),
                Event::Reload => {
                    tell(&[NotifyState::Reloading]);
                    // Reading files blocks; nothing else runs on this thread.
                    reload();
                    tell(&[NotifyState::Ready]);
                }
                Event::Tick => failed_for_long(running)?,
            }
        }
    })
}

/// Ends the process when the store has failed and reads have gone on for long enough.
fn failed_for_long(running: &Running) -> Result<(), Reason> {
    let health = running.store().health();
    let Some(since) = health.failed_since else {
        return Ok(());
    };
    let now = running.clock().now();
    if now.millis().saturating_sub(since.millis()) < FAILED_PATIENCE_MS {
        return Ok(());
    }
    let reason = health
        .writable
        .err()
        .unwrap_or_else(|| "it does not advance".to_owned());
    tracing::error!("the store has failed: {reason}; ending for a restart");
    Err(Reason::StoreFailed { reason })
}

/// Tells systemd, if it is there.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}
