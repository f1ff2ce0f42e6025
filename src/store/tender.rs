//! The thread that does what takes long and that nobody waits for: it finds again what damaged
//! cells held.

use std::path::PathBuf;
use std::time::Duration;

use crate::store::log::frame::StoreId;
use crate::store::repair;
use crate::store::view::View;

/// How often it looks around.
const ROUND: Duration = Duration::from_secs(1);

/// The tender's thread.
pub struct Tender {
    /// What readers see.
    pub view: View,
    /// The store's directory.
    pub dir: PathBuf,
    /// The store.
    pub store: StoreId,
}

impl Tender {
    /// Works until the store is closed.
    pub fn run(self) {
        let desk = self.view.desk();
        while !desk.is_closed() {
            let wanted = desk.take_wanted(ROUND);
            if !wanted.is_empty() {
                desk.put_found(repair::find(&self.dir, self.store, &self.view, wanted));
            }
        }
    }
}
