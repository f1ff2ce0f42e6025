//! Forgetting deleted resources that nobody can restore any more.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use crate::base::clock::Timestamp;
use crate::store::Store;
use crate::store::change::Change;
use crate::store::change::Transaction;
use crate::store::error::CommitError;

/// Deleted resources of one transaction: everybody else waits meanwhile.
const FORGOTTEN_MAX: usize = 64;
/// Memberships of one transaction; a single resource may have more.
const MEMBERSHIPS_MAX: usize = 10_000;

impl Store {
    /// Forgets what was deleted before `at`, with the memberships it had. Returns how many
    /// resources. Waits for the disk.
    ///
    /// # Errors
    ///
    /// [`CommitError`]; what is left is forgotten with the next call.
    pub fn forget_deleted(&self, at: Timestamp) -> Result<usize, CommitError> {
        let forgotten = Arc::new(AtomicUsize::new(0));
        for directory in self.directories() {
            let directory = directory.id;
            while !self.expired(directory, at, 1).is_empty() && !self.is_hurried() {
                let counted = Arc::clone(&forgotten);
                // Inside the commit thread: nobody can add a membership to one of them meanwhile.
                let committed = self.commit_with(Box::new(move |view| {
                    let (mut changes, mut memberships) = (Vec::new(), 0_usize);
                    for expired in view.expired(directory, at, FORGOTTEN_MAX) {
                        memberships = memberships.saturating_add(expired.memberships.len());
                        if memberships > MEMBERSHIPS_MAX && !changes.is_empty() {
                            break;
                        }
                        changes.push(Change::Forget {
                            directory,
                            id: expired.id,
                            memberships: expired.memberships,
                        });
                    }
                    counted.fetch_add(changes.len(), Ordering::Relaxed);
                    let transaction = Transaction {
                        changes,
                        ..Transaction::default()
                    };
                    (!transaction.changes.is_empty()).then_some(transaction)
                }));
                committed?;
            }
        }
        Ok(forgotten.load(Ordering::Relaxed))
    }
}
