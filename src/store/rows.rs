//! The cells that hold no resource, as memory has them: memory has all of each.

use std::sync::Arc;

use crate::store::cell::Counter;
use crate::store::cell::Key;
use crate::store::memory::Memory;
use crate::store::memory::token_key;

/// The keys of those that come before the resources, in the order of the state's keys: there are few.
pub fn keys(memory: &Memory) -> Vec<Key> {
    let directories = memory.directories.keys();
    let histories = memory.directories.iter();
    let histories = histories.filter(|(_id, found)| found.history.1.is_some());
    let counters = [
        (Counter::Directory, memory.directory_last.1),
        (Counter::Audit, memory.audit_last.1),
    ];
    let mut keys: Vec<Key> = directories.map(|id| Key::Directory(*id)).collect();
    keys.extend(histories.map(|(id, _found)| Key::History(*id)));
    let counters = counters
        .into_iter()
        .filter(|(_counter, mark)| mark.is_some());
    keys.extend(counters.map(|(counter, _mark)| Key::Counter(counter)));
    keys.extend(memory.settings.keys().cloned().map(Key::Setting));
    keys.extend(memory.tokens.values().map(|held| token_key(&held.row)));
    keys
}

/// The keys of what is left of deleted resources.
pub fn deleted(memory: &Memory) -> Vec<Key> {
    let directories = memory.directories.iter();
    let keys = directories.flat_map(|(directory, found)| {
        let ids = found.deleted.keys();
        ids.map(|id| Key::Deleted(*directory, *id))
    });
    keys.collect()
}

/// What the cell of `key` holds, when it holds no resource.
pub fn content(memory: &Memory, key: &Key) -> Option<Arc<[u8]>> {
    let directory = |id| memory.directories.get(id);
    match key {
        Key::Purge(_) | Key::Resource(..) => None,
        Key::Member(id, group, member) => {
            let found = directory(id)?;
            let there = found.edges.has_any(found.ends(), *group, *member);
            there.then(Arc::default)
        }
        Key::Deleted(id, resource) => {
            let held = directory(id)?.deleted.get(resource)?;
            Some(held.row.encode().into())
        }
        Key::Directory(id) => Some(directory(id)?.held.row.encode().into()),
        Key::History(id) => Some(directory(id)?.history.0.to_le_bytes().as_slice().into()),
        Key::Counter(Counter::Directory) => {
            Some(memory.directory_last.0.to_le_bytes().as_slice().into())
        }
        Key::Counter(Counter::Audit) => Some(memory.audit_last.0.to_le_bytes().as_slice().into()),
        Key::Setting(name) => Some(Arc::clone(&memory.settings.get(name)?.row)),
        Key::Token(_, id) => Some(memory.tokens.get(id)?.row.encode().into()),
    }
}
