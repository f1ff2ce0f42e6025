//! What happened to users, what operators did, and whether that is what was written.

use std::fs;

use serde_json::json;

use crate::admin::HistoryRequest;
use crate::admin::tests::Fixture;
use crate::admin::tests::START_TEXT;
use crate::admin::tests::error;
use crate::admin::tests::json_of;
use crate::audit::history::Action;
use crate::base::actor::Actor;
use crate::base::ident::RequestId;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::base::ident::TokenId;
use crate::scim::schema::ResourceKind;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::change::HistoryDraft;
use crate::store::change::Index;
use crate::store::change::NewRecord;
use crate::store::change::Transaction;

/// Changes the user kim, and deletes the user when that is the change.
fn note(
    fixture: &Fixture,
    directory: &str,
    id: ResourceId,
    action: Action,
    actor: Actor,
    payload: &str,
) {
    let directory = fixture.admin.directory(directory).unwrap().id;
    let delete = Change::DeleteResource {
        directory,
        kind: ResourceKind::User,
        id,
        expect: Expect::Any,
        names: Vec::new(),
    };
    let draft = HistoryDraft {
        directory,
        kind: ResourceKind::User,
        id,
        action,
        revision: Revision(2),
        actor,
        request: Some(RequestId::from_bytes([9; 16])),
        payload: payload.as_bytes().to_vec(),
    };
    let change = if action == Action::Deleted {
        delete
    } else {
        let record = fixture.store.resource(directory, ResourceKind::User, id);
        let record = record.unwrap().unwrap();
        Change::PutResource {
            directory,
            kind: ResourceKind::User,
            id,
            expect: Expect::Any,
            record: NewRecord {
                revision: Revision(2),
                created: record.created,
                modified: record.modified,
                keys: vec![(Index::UserName, "kim".into())],
                unique: Vec::new(),
                label: None,
                body: record.body.clone(),
            },
        }
    };
    let transaction = Transaction {
        changes: vec![change],
        history: vec![draft],
        audit: Vec::new(),
    };
    fixture.store.commit(transaction).unwrap();
}

/// A request for the story of `name`.
fn of(name: &str) -> HistoryRequest<'_> {
    HistoryRequest {
        name,
        ..HistoryRequest::default()
    }
}

#[test]
fn a_story_tells_who_did_what_and_outlives_the_user() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    let (token, _text) = fixture.token("entra", "provision").unwrap();
    let id = fixture.user("entra", "kim", "kim@corp.example");
    let actor = Actor::Token(TokenId::parse(&token).unwrap());
    let change = r#"{"title":{"old":"a","new":"b"}}"#;
    note(&fixture, "entra", id, Action::Updated, actor, change);
    let updated = json!({
        "number": 1,
        "at": START_TEXT,
        "directory": "entra",
        "id": id.to_string(),
        "action": "updated",
        "revision": 2,
        "actor": {"kind": "token", "id": token, "label": ""},
        "request": "09".repeat(16),
        "changes": {"title": {"old": "a", "new": "b"}},
    });
    for name in ["kim", "KIM", &id.to_string()] {
        let page = json_of(fixture.admin.user_history(of(name)).unwrap());
        assert_eq!(page, json!({"items": [updated], "next": null}), "{name}");
    }
    let operator = Actor::Operator {
        root: true,
        stated_name: "joy".into(),
    };
    let last = r#"{"deleted":{"userName":"kim"}}"#;
    note(&fixture, "entra", id, Action::Deleted, operator, last);
    let page = fixture.admin.user_history(of(&id.to_string())).unwrap();
    let mut deleted = updated.clone();
    deleted["number"] = json!(2);
    deleted["action"] = json!("deleted");
    deleted["actor"] = json!({"kind": "operator", "stated_name": "joy", "root": true});
    deleted["changes"] = json!({});
    deleted["resource"] = json!({"userName": "kim"});
    assert_eq!(json_of(page)["items"], json!([deleted, updated]));
    for unknown in ["kim", "00000000-0000-4000-8000-00000000000f"] {
        let (kind, _what, fix) = error(fixture.admin.user_history(of(unknown)));
        assert_eq!((kind, fix.as_str()), ("not_found", "rollcall user list"));
    }
    assert_eq!(
        error(fixture.admin.group_history(of(&id.to_string()))).0,
        "not_found"
    );
}

#[test]
fn a_name_that_is_meant_twice_is_refused() {
    let fixture = Fixture::new();
    for directory in ["a", "b"] {
        fixture.directory(directory).unwrap();
        fixture.user(directory, "kim", "kim@corp.example");
    }
    let (kind, _what, fix) = error(fixture.admin.user_history(of("kim")));
    assert_eq!(kind, "conflict");
    assert!(fix.contains("--directory"), "{fix}");
    let request = HistoryRequest {
        directory: Some("b"),
        ..of("kim")
    };
    assert_eq!(fixture.admin.user_history(request).unwrap().items, []);
}

#[test]
fn the_audit_is_listed_at_once_and_verified() {
    let fixture = Fixture::new();
    fixture.directory("entra").unwrap();
    let (token, _text) = fixture.token("entra", "read").unwrap();
    let page = fixture.admin.audit_list(Some(1), None).unwrap();
    let created = json!({
        "number": 2,
        "at": START_TEXT,
        "actor": {"kind": "system"},
        "action": "token.create",
        "target": format!("token {token}"),
        "detail": {"directory": "entra", "scope": "read", "label": "", "expires": null},
    });
    assert_eq!(json_of(page), json!({"items": [created], "next": "2"}));
    let page = fixture.admin.audit_list(None, Some(2)).unwrap();
    assert_eq!((page.items.len(), page.next), (1, None));
    assert_eq!(page.items[0].action, "directory.create");
    let item = |what, directory, count| {
        json!({"what": what, "directory": directory, "files": count / 2, "entries": count, "erased": 0,
               "last": count, "problems_found": 0, "problems": []})
    };
    let verified = json_of(fixture.admin.audit_verify().unwrap());
    let sound = [
        item("audit", json!(null), 2),
        item("history", json!("entra"), 0),
    ];
    assert_eq!(verified, json!({"sound": true, "items": sound}));
    let file = fixture.dir.path().join("audit/00000000000000000001.audit");
    let mut bytes = fs::read(&file).unwrap();
    bytes[200] ^= 1;
    fs::write(&file, bytes).unwrap();
    let verified = json_of(fixture.admin.audit_verify().unwrap());
    assert_eq!(verified["sound"], false);
    let problem = &verified["items"][0]["problems"][0];
    assert_eq!(problem["file"], file.display().to_string());
    assert_eq!(problem["entry"], 1);
}
