//! What an operator can do: the use cases behind the two local sockets and, one day, the console.
//!
//! Synchronous. Every use case that changes something takes the acting operator and puts an audit entry into the
//! same commit; they run one at a time, so that what one has checked still holds when it commits. Results are plain
//! structures whose JSON is a stable interface: members may be added, never renamed. Who may call what is decided by
//! the socket (`control`), how it is printed by `cli`.

mod directories;
mod error;
mod history;
mod resources;
mod status;
mod storage;
mod tokens;
mod verify;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

pub use crate::admin::directories::NewDirectory;
pub use crate::admin::error::AdminError;
pub use crate::admin::error::Problem;
pub use crate::admin::history::HistoryRequest;
pub use crate::admin::resources::ListRequest;
pub use crate::admin::tokens::TokenRequest;
use crate::audit::entry::AuditDraft;
use crate::auth::Auth;
use crate::base::actor::Actor;
use crate::base::clock::Clock;
use crate::base::clock::Timestamp;
use crate::base::ident::DirectoryName;
use crate::directory::Directories;
use crate::store::Store;
use crate::store::change::Change;
use crate::store::change::Committed;
use crate::store::change::Transaction;
use crate::store::error::CommitError;
use crate::store::row::DirectoryRow;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// What to pass as `after` for the next page; `None` on the last one. Opaque.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page that holds everything.
    const fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

/// The use cases. Shared by reference.
pub struct Admin {
    /// The state.
    store: Store,
    /// Tokens.
    auth: Auth,
    /// Users and groups.
    directories: Directories,
    /// The time.
    clock: Arc<dyn Clock>,
    /// Scheme, host and port under which clients reach the SCIM listener, without a slash at the end.
    public_url: String,
    /// When the daemon started.
    started: Timestamp,
    /// Held by the use case that is changing something.
    turn: Mutex<()>,
    /// Held by the use case that goes through everything that is stored.
    passing: Mutex<()>,
}

impl Admin {
    /// The use cases over these rooms. `public_url` is the base that Tenant URLs are made of.
    pub fn new(
        store: Store,
        auth: Auth,
        directories: Directories,
        clock: Arc<dyn Clock>,
        public_url: &str,
    ) -> Self {
        Self {
            store,
            auth,
            directories,
            started: clock.now(),
            clock,
            public_url: public_url.trim_end_matches('/').to_owned(),
            turn: Mutex::new(()),
            passing: Mutex::new(()),
        }
    }

    /// The Tenant URL of a directory: what is pasted in Entra.
    pub fn tenant_url(&self, directory: &DirectoryName) -> String {
        directory.tenant_url(&self.public_url)
    }

    /// Waits until no other use case is changing something.
    fn take_turn(&self) -> MutexGuard<'_, ()> {
        // It guards nothing in memory, so a panic while it was held has spoiled nothing.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits one change with its audit entry.
    fn commit(&self, change: Change, audit: AuditDraft) -> Result<Committed, CommitError> {
        self.store.commit(Transaction {
            changes: vec![change],
            history: Vec::new(),
            audit: vec![audit],
        })
    }

    /// The directory of that name.
    fn directory(&self, name: &str) -> Result<Arc<DirectoryRow>, AdminError> {
        let row = DirectoryName::parse(name)
            .ok()
            .and_then(|name| self.store.directory(&name));
        row.ok_or_else(|| {
            let names: Vec<_> = self
                .store
                .directories()
                .iter()
                .take(10)
                .map(|row| row.name.to_string())
                .collect();
            let why = if names.is_empty() {
                "there is no directory yet".to_owned()
            } else {
                format!("there are: {}", names.join(", "))
            };
            AdminError::NotFound(Problem::new(
                format!("no directory {name:?}"),
                why,
                "rollcall directory list",
            ))
        })
    }
}

/// The audit entry for `action` on `target`.
fn audit(actor: &Actor, action: &str, target: String, detail: &serde_json::Value) -> AuditDraft {
    AuditDraft {
        actor: actor.clone(),
        action: action.to_owned(),
        target,
        detail: detail.to_string(),
    }
}

#[cfg(test)]
mod tests;
