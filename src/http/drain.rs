//! The orderly end: nothing new is taken, what runs is finished, and a deadline bounds it.

use std::time::Duration;

use tokio::sync::watch;

use crate::http::listener::Running;

/// How far the end has come. Never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Connections are accepted and served.
    Serving,
    /// No new connections and no new requests; those that run are finished.
    Draining,
    /// Whatever is still open is dropped.
    Over,
}

/// Ends the listeners that were started with it.
#[derive(Debug)]
pub struct Drain(watch::Sender<Stage>);

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

impl Drain {
    /// For listeners yet to be started.
    pub fn new() -> Self {
        Self(watch::Sender::new(Stage::Serving))
    }

    /// What a listener watches.
    pub(super) fn watch(&self) -> watch::Receiver<Stage> {
        self.0.subscribe()
    }

    /// Stops accepting. Idle connections close, HTTP/2 clients get GOAWAY, running requests go on.
    pub fn begin(&self) {
        self.advance(Stage::Draining);
    }

    /// Ends `listeners`: begins, waits up to `timeout` for what runs, and drops the rest. Tells whether all finished in time.
    pub async fn finish(self, listeners: Vec<Running>, timeout: Duration) -> bool {
        self.begin();
        let mut tasks: Vec<_> = listeners.into_iter().map(|running| running.task).collect();
        let ended = async {
            for task in &mut tasks {
                // A listener that panicked has ended, too.
                drop(task.await);
            }
        };
        if tokio::time::timeout(timeout, ended).await.is_ok() {
            return true;
        }
        self.advance(Stage::Over);
        for task in tasks.iter_mut().filter(|task| !task.is_finished()) {
            drop(task.await);
        }
        false
    }

    /// Moves on to `stage`, never back.
    fn advance(&self, stage: Stage) {
        self.0
            .send_if_modified(|now| (*now < stage).then(|| *now = stage).is_some());
    }
}
