//! Writes that are begun without waiting, against a real store.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::mpsc;

use serde_json::Value;
use serde_json::json;

use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::directory::Directory;
use crate::directory::Written;
use crate::directory::error::DirectoryError;
use crate::directory::history;
use crate::directory::intent::Begun;
use crate::directory::intent::Decision;
use crate::directory::intent::Intent;
use crate::directory::tests::fixture::Stage;
use crate::directory::tests::fixture::act;
use crate::directory::write::PROMPT_BYTES_MAX;
use crate::scim::patch::PATCH_OP;
use crate::scim::resource::Resource;
use crate::scim::resource::parse::settle;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::core::USER;
use crate::store::error::CommitError;

/// What all of these tests are about.
const KIND: ResourceKind = ResourceKind::User;

/// Begins a write, and goes on with it as the api does.
fn carry_out(
    directory: &Directory,
    intent: Intent,
) -> Result<(Written, &'static str), DirectoryError> {
    let (told, outcome) = mpsc::sync_channel(1);
    let then = Box::new(move |outcome| told.send(outcome).unwrap());
    match directory.begin(intent, &act(), then)? {
        Begun::Done(written) => Ok((written, "nothing to do")),
        Begun::NotPromptly(intent) => Ok((directory.finish(intent, &act())?, "not promptly")),
        Begun::Submitted(submitted) => match outcome.recv() {
            Ok(Ok(committed)) => Ok((submitted.acknowledged(&committed), "submitted")),
            untold => {
                let error = untold.ok().and_then(Result::err);
                Ok((directory.settle(submitted, &act(), error)?, "settled"))
            }
        },
    }
}

/// A new user with this `nickName`.
fn create(directory: &Directory, nick_name: &str) -> ResourceId {
    let body = json!({"schemas": [USER], "userName": "mara", "nickName": nick_name});
    let intent = directory.creation(KIND, body, &act()).unwrap();
    let (written, how) = carry_out(directory, intent).unwrap();
    assert_eq!(
        (written.stored.revision, how),
        (Revision::FIRST, "submitted")
    );
    written.stored.id
}

/// The intent to set `title`.
fn set_title(directory: &Directory, id: ResourceId, title: &str) -> Intent {
    let body = json!({
        "schemas": [PATCH_OP],
        "Operations": [{"op": "Replace", "path": "title", "value": title}],
    });
    directory.patch(KIND, id, body).unwrap()
}

/// An attribute of a resource as readers see it.
fn text(directory: &Directory, id: ResourceId, name: &str) -> Option<String> {
    let stored = directory.read(KIND, id, false).unwrap()?;
    let tree: Value = serde_json::from_slice(stored.body()).unwrap();
    Some(tree.get(name)?.as_str()?.to_owned())
}

#[test]
fn a_write_is_visible_once_it_is_acknowledged() {
    let stage = Stage::new(Profile::Entra);
    let directory = &stage.directory;
    let id = create(directory, "Mo");
    for (title, expected) in [
        ("lead", (Revision(2), true, 1, "submitted")),
        ("lead", (Revision(2), false, 1, "nothing to do")),
        ("head", (Revision(3), true, 1, "submitted")),
    ] {
        let intent = set_title(directory, id, title);
        let (written, how) = carry_out(directory, intent).unwrap();
        let notes = written.notes.len();
        let found = (written.stored.revision, written.changed, notes, how);
        assert_eq!(found, expected, "{title}");
        assert_eq!(text(directory, id, "title").as_deref(), Some(title));
    }
    carry_out(directory, directory.deletion(KIND, id)).unwrap();
    let gone = carry_out(directory, directory.deletion(KIND, id));
    assert!(matches!(gone, Err(DirectoryError::NotFound { .. })));
}

#[test]
fn a_write_that_somebody_overtook_is_prepared_again() {
    let stage = Stage::new(Profile::Entra);
    let directory = &stage.directory;
    let id = create(directory, "Mo");
    let (overtaken, rival) = (OnceLock::new(), directory.clone());
    let judge = move |old: &Resource, _notes: &mut Vec<_>| {
        // Only the first time: somebody commits between reading and committing.
        overtaken.get_or_init(|| carry_out(&rival, set_title(&rival, id, "lead")).unwrap());
        let mut tree = old.tree().clone();
        tree.insert("nickName".to_owned(), "Jo".into());
        let new = settle(KIND, tree, rival.registry())?;
        let payload = history::difference(old, &new);
        Ok(Decision::Put(new, payload))
    };
    let intent = Intent::change(KIND, id, Arc::new(judge), None, Vec::new());
    let (written, how) = carry_out(directory, intent).unwrap();
    assert_eq!((written.stored.revision, how), (Revision(3), "settled"));
    assert_eq!(text(directory, id, "title").as_deref(), Some("lead"));
    assert_eq!(text(directory, id, "nickName").as_deref(), Some("Jo"));
}

#[test]
fn a_large_resource_is_left_to_a_thread_that_may_wait() {
    let stage = Stage::new(Profile::Entra);
    let directory = &stage.directory;
    let id = create(directory, &"o".repeat(PROMPT_BYTES_MAX));
    let (_, how) = carry_out(directory, set_title(directory, id, "lead")).unwrap();
    assert_eq!(how, "not promptly");
    assert_eq!(text(directory, id, "title").as_deref(), Some("lead"));
}

#[test]
fn what_the_store_refuses_is_told() {
    let stage = Stage::new(Profile::Entra);
    let directory = &stage.directory;
    create(directory, "Mo");
    let body = json!({"schemas": [USER], "userName": "MARA"});
    let intent = directory.creation(KIND, body.clone(), &act()).unwrap();
    let taken = carry_out(directory, intent);
    assert!(matches!(taken, Err(DirectoryError::Taken { .. })));
    let intent = directory.creation(KIND, body, &act()).unwrap();
    directory.store.shutdown();
    let closed = carry_out(directory, intent);
    assert!(matches!(
        closed,
        Err(DirectoryError::Commit(CommitError::ReadOnly { .. }))
    ));
}
