//! Reading the base in use once more: it may have been damaged where it lies, and would be missed
//! only when it is needed.

use std::path::Path;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::store::base::BaseError;
use crate::store::base::FOLDER;
use crate::store::base::damaged;
use crate::store::base::name;
use crate::store::base::read::Base;
use crate::store::cell::Tally;
use crate::store::desk::Chore;
use crate::store::log::frame::StoreId;
use crate::store::view::View;

/// After a block it rests for this many times as long as the block took,
const RESTS: u32 = 3;
/// at most.
const REST_MAX: Duration = Duration::from_millis(50);

/// Reads the base in use, when there is one. A damaged one is used no more, and another is written.
/// Returns what is wrong with it.
pub fn check(dir: &Path, store: StoreId, view: &View) -> Option<String> {
    let base = view.desk().reports().base?;
    let path = dir.join(FOLDER).join(name(base.seq));
    let error = read_all(&path, store, view).err()?;
    // Another one has taken its place meanwhile.
    if view.desk().reports().base != Some(base) {
        return None;
    }
    let what = format!("the base {} cannot be used: {error}", path.display());
    tracing::error!("{what}; another one is written");
    view.desk().report(|reports| reports.base = None);
    view.desk().request(Chore::Base);
    Some(what)
}

/// Reads every block, and compares count and hash.
fn read_all(path: &Path, store: StoreId, view: &View) -> Result<(), BaseError> {
    let base = Base::open(path, store)?;
    base.forget_cached();
    let mut tally = Tally::default();
    for number in 0..base.blocks() {
        if view.desk().is_closed() || view.is_hurried() {
            return Ok(());
        }
        let began = Instant::now();
        for (key, mark, _content) in base.block(number)? {
            tally.add(&key, mark);
        }
        thread::park_timeout(began.elapsed().saturating_mul(RESTS).min(REST_MAX));
    }
    if tally == base.tally() {
        Ok(())
    } else {
        Err(damaged(0, "count or hash of its cells do not agree"))
    }
}
