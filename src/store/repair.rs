//! Finding again what a damaged cell held: rows are in memory, resources in the commit log or in
//! the base. What is found must have the checksum that memory knows, or it is not it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::store::base;
use crate::store::base::read::Base;
use crate::store::cell::Key;
use crate::store::cell::Mark;
use crate::store::desk::FoundAgain;
use crate::store::log;
use crate::store::log::frame::StoreId;
use crate::store::log::group::Made;
use crate::store::log::read;
use crate::store::rows;
use crate::store::view::View;

/// Looks for the cells of `wanted`. May read the whole log: nothing else waits for it.
pub fn find(
    dir: &Path,
    store: StoreId,
    view: &View,
    mut wanted: HashMap<Key, Mark>,
) -> Vec<FoundAgain> {
    let mut found = Vec::new();
    let rows: Vec<_> = {
        let memory = view.memory();
        let keys = wanted.keys();
        keys.filter_map(|key| Some((key.clone(), rows::content(&memory, key)?)))
            .collect()
    };
    for (key, content) in rows {
        take(&mut wanted, &mut found, key, content);
    }
    if wanted.is_empty() {
        return found;
    }
    let scanned = read::list(&dir.join(log::FOLDER)).and_then(|segments| {
        read::scan(&segments, store, &mut |transaction| {
            for made in &transaction.logged.changes {
                if let Made::PutResource {
                    directory,
                    kind,
                    id,
                    stored,
                } = made
                {
                    let key = Key::Resource(*directory, *kind, *id);
                    take(&mut wanted, &mut found, key, Arc::clone(&stored.content));
                }
            }
            Ok(())
        })
    });
    if let Err(error) = scanned {
        tracing::warn!(%error, "the commit log cannot be read for a repair");
    }
    for base in bases(dir, store) {
        let keys: Vec<Key> = wanted.keys().cloned().collect();
        for key in keys {
            match base.get(&key) {
                Ok(Some((key, _mark, content))) => take(&mut wanted, &mut found, key, content),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "{} cannot be read for a repair", base.path().display());
                }
            }
        }
    }
    for key in wanted.keys() {
        tracing::error!(
            "{key} is lost: neither the commit log nor the base has it; restore it from a backup"
        );
    }
    found
}

/// Takes a content for a cell that is looked for, when it is the right one.
fn take(
    wanted: &mut HashMap<Key, Mark>,
    found: &mut Vec<FoundAgain>,
    key: Key,
    content: Arc<[u8]>,
) {
    if let Some(mark) = wanted.get(&key).copied()
        && Mark::of(&key, &content) == mark
    {
        wanted.remove(&key);
        found.push((key, mark, content));
    }
}

/// The bases that can be read.
fn bases(dir: &Path, store: StoreId) -> Vec<Base> {
    let listed = base::list(dir).unwrap_or_else(|error| {
        tracing::warn!(%error, "the bases cannot be listed");
        Vec::new()
    });
    let open = |(_seq, path): (u64, std::path::PathBuf)| match Base::open(&path, store) {
        Ok(base) => Some(base),
        Err(error) => {
            tracing::warn!(%error, "{} cannot be read", path.display());
            None
        }
    };
    listed.into_iter().filter_map(open).collect()
}
