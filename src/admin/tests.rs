//! Use cases against a real store, compared with the whole JSON they answer with.

mod directories;
mod history;
mod resources;
mod status;
mod storage;
mod tokens;

use std::sync::Arc;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::admin::Admin;
use crate::admin::AdminError;
use crate::admin::NewDirectory;
use crate::admin::TokenRequest;
use crate::auth::Auth;
use crate::auth::Authentication;
use crate::auth::present;
use crate::auth::tests::CHEAP;
use crate::auth::tests::START;
use crate::auth::tests::open_store;
use crate::base::actor::Actor;
use crate::base::clock::ManualClock;
use crate::base::ident::CountedIds;
use crate::base::ident::IdSource;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::directory::Directories;
use crate::scim::schema::ResourceKind;
use crate::scim::text::fold;
use crate::store::Store;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::change::Index;
use crate::store::change::NewRecord;
use crate::store::change::Transaction;

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;
/// How [`START`] prints.
const START_TEXT: &str = "2023-11-14T22:13:20.000Z";

/// The use cases over an empty store.
struct Fixture {
    /// Where the store is. Removed last.
    dir: TempDir,
    /// The store.
    store: Store,
    /// The time.
    clock: ManualClock,
    /// Tokens.
    auth: Auth,
    /// The use cases.
    admin: Admin,
    /// Chance for resources.
    ids: CountedIds,
    /// Who acts.
    actor: Actor,
}

impl Fixture {
    /// A new one.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(START);
        let store = open_store(&dir, &clock);
        let ids = Arc::new(CountedIds::default());
        let time = Arc::new(clock.clone());
        let auth = Auth::new(store.clone(), time.clone(), ids.clone(), CHEAP).unwrap();
        let directories = Directories::new(store.clone(), time.clone(), ids);
        let url = "https://scim.corp.example/";
        let admin = Admin::new(store.clone(), auth.clone(), directories, time, url);
        Self {
            dir,
            store,
            clock,
            auth,
            admin,
            ids: CountedIds::default(),
            actor: Actor::System,
        }
    }

    /// Creates a directory.
    fn directory(&self, name: &str) -> Result<Value, AdminError> {
        let new = NewDirectory {
            name,
            profile: None,
            users_only: false,
        };
        self.admin.directory_create(new, &self.actor).map(json_of)
    }

    /// Creates a token; answers its id and its text.
    fn token(&self, directory: &str, scope: &str) -> Result<(String, String), AdminError> {
        let request = TokenRequest {
            directory,
            scope,
            label: "",
            life: None,
        };
        let created = self.admin.token_create(request, &self.actor)?;
        Ok((created.id, created.token))
    }

    /// Uses a token.
    fn enter(&self, token: &str, directory: &str) {
        let header = format!("Bearer {token}");
        let peer = "192.0.2.1".parse().unwrap();
        match self
            .auth
            .authenticate(present([header.as_bytes()], false), directory, peer)
        {
            Authentication::Known(_) => {}
            Authentication::Check(check) => assert!(check.run().is_ok()),
            Authentication::Refused(refusal) => panic!("{refusal:?}"),
        }
    }

    /// Stores a user.
    fn user(&self, directory: &str, name: &str, email: &str) -> ResourceId {
        let directory = self.admin.directory(directory).unwrap().id;
        let id = self.ids.resource_id();
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": id.to_string(),
            "externalId": format!("x-{name}"),
            "userName": name,
            "emails": [
                {"type": "home", "value": format!("home-{email}")},
                {"type": "work", "value": email, "primary": true}
            ],
            "active": name != "sam",
        });
        let key = |index, text: &str| (index, Box::from(text));
        let put = Change::PutResource {
            directory,
            kind: ResourceKind::User,
            id,
            expect: Expect::Absent,
            record: NewRecord {
                revision: Revision::FIRST,
                created: START,
                modified: START,
                keys: vec![
                    key(Index::UserName, &fold(name)),
                    key(Index::ExternalId, &format!("x-{name}")),
                    key(Index::Email, &fold(email)),
                    key(Index::Email, &fold(&format!("home-{email}"))),
                ],
                unique: vec![Index::UserName],
                label: None,
                body: body.to_string().into_bytes().into(),
            },
        };
        self.store
            .commit(Transaction {
                changes: vec![put],
                ..Transaction::default()
            })
            .unwrap();
        id
    }

    /// The codes of the warnings of `status`.
    fn warnings(&self) -> Vec<&'static str> {
        let warnings = self.admin.status().warnings;
        warnings.iter().map(|warning| warning.code).collect()
    }
}

/// The JSON of an answer.
fn json_of(answer: impl serde::Serialize) -> Value {
    serde_json::to_value(answer).unwrap()
}

/// Kind, what and fix of the error of `result`.
fn error<T>(result: Result<T, AdminError>) -> (&'static str, String, String) {
    let error = result.err().unwrap();
    let problem = error.problem();
    assert!(!problem.why.is_empty());
    let kind = match &error {
        AdminError::NotFound(_) => "not_found",
        AdminError::Conflict(_) => "conflict",
        AdminError::Invalid(_) => "invalid",
        AdminError::Unavailable(_) => "unavailable",
        AdminError::Internal(_) => "internal",
    };
    (kind, problem.what.clone(), problem.fix.clone())
}
