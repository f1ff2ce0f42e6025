//! The state on its own.

use std::sync::Arc;

use crate::store::cell::Key;
use crate::store::cell::Mark;
use crate::store::cell::Op;
use crate::store::log::frame::StoreId;
use crate::store::meta::Meta;
use crate::store::state::META_KEY;
use crate::store::state::State;
use crate::store::state::StateError;

#[test]
fn a_newer_state_is_refused_and_a_damaged_note_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path()).unwrap();
    assert_eq!(state.meta().unwrap(), None);
    let mut meta = Meta::empty(StoreId([7; 16]));
    meta.seq = 9;
    state.apply(&[], &meta).unwrap();
    assert_eq!(state.meta().unwrap(), Some(meta));
    let mut bytes = meta.encode();
    bytes[0] = 3;
    state.db().unwrap().insert(META_KEY, bytes).unwrap();
    assert!(matches!(state.meta(), Err(StateError::Newer(3))));
    for at in 0..meta.encode().len() {
        let mut bytes = meta.encode();
        bytes[at] ^= 0x80;
        state.db().unwrap().insert(META_KEY, bytes).unwrap();
        assert!(state.meta().is_err(), "{at}");
    }
}

#[test]
fn a_cell_that_shrinks_leaves_no_part_behind() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path()).unwrap();
    let meta = Meta::empty(StoreId([7; 16]));
    let key = Key::Setting("s".into());
    let mut old = None;
    for bytes in [0_usize, 4088, 4089, 100_000, 9000, 1] {
        let content: Arc<[u8]> = vec![3; bytes].into();
        let new = Mark::of(&key, &content);
        let op = Op {
            key: key.clone(),
            old,
            new: Some((new, Arc::clone(&content))),
            ticket: 0,
        };
        state.apply(&[op], &meta).unwrap();
        assert_eq!(state.get(&key).unwrap(), Some((new, content)), "{bytes}");
        let values = state.db().unwrap().len();
        assert_eq!(values, usize::from(new.parts()) + 1, "{bytes}");
        old = Some(new);
    }
    let key_part = key.part(0);
    state.db().unwrap().insert(key_part, b"damaged!x").unwrap();
    assert!(matches!(state.get(&key), Err(StateError::Broken(_))));
}
