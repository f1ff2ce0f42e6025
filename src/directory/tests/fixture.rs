//! A directory in a store of its own, and what clients do with it.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::base::actor::Actor;
use crate::base::clock::ManualClock;
use crate::base::clock::Timestamp;
use crate::base::ident::CountedIds;
use crate::base::ident::DirectoryId;
use crate::base::ident::DirectoryName;
use crate::base::ident::RequestId;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::directory::Act;
use crate::directory::Directories;
use crate::directory::Directory;
use crate::directory::Memberships;
use crate::directory::Stored;
use crate::directory::Written;
use crate::directory::error::DirectoryError;
use crate::directory::intent::Begun;
use crate::directory::intent::Intent;
use crate::scim::etag::Precondition;
use crate::scim::patch::PATCH_OP;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::core;
use crate::store::Settings;
use crate::store::Store;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::change::Transaction;
use crate::store::chronicle::Retention;
use crate::store::row::DirectoryRow;

/// A user.
pub const USER: ResourceKind = ResourceKind::User;
/// A group.
pub const GROUP: ResourceKind = ResourceKind::Group;
/// When everything begins.
pub const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// An id that nobody ever had.
pub const NOBODY: &str = "5b1f8a4e-0000-4000-8000-6c7d8e9f0a1b";

/// A directory, with the folder and the clock of its store.
pub struct Stage {
    /// The folder.
    _folder: TempDir,
    /// The clock.
    pub clock: ManualClock,
    /// The directory.
    pub directory: Directory,
}

/// How a write gets to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As the api does it: begun without waiting, and settled when somebody was faster.
    Begun,
    /// On a thread that waits.
    Waiting,
}

/// Both of them.
pub const WAYS: [Way; 2] = [Way::Begun, Way::Waiting];

impl Stage {
    /// An empty directory of that profile.
    pub fn new(profile: Profile) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            dir: folder.path().to_owned(),
            segment_bytes: 1 << 20,
            reserve_bytes: 0,
            free_soft_bytes: 0,
            free_hard_bytes: 0,
            cache_bytes: 1 << 20,
            base_log_bytes: u64::MAX,
            retention: Retention {
                history: Duration::from_secs(86_400),
                audit: Duration::from_secs(86_400),
            },
        };
        let (clock, ids) = (ManualClock::new(START), Arc::new(CountedIds::default()));
        let store = Store::open(&settings, Arc::new(clock.clone()), &*ids, &|_doing| {}).unwrap();
        let row = DirectoryRow {
            id: DirectoryId(0),
            name: DirectoryName::parse("one").unwrap(),
            profile,
            users_only: false,
            enabled: true,
            created: START,
            revision: Revision::FIRST,
        };
        let expect = Expect::Absent;
        let made = store.commit(Transaction {
            changes: vec![Change::PutDirectory { row, expect }],
            ..Transaction::default()
        });
        let id = made.unwrap().directory.unwrap();
        let row = store.directory_by_id(id).unwrap();
        let directories = Directories::new(store, Arc::new(clock.clone()), ids);
        Self {
            _folder: folder,
            clock,
            directory: directories.open(row),
        }
    }

    /// A new user.
    pub fn user(&self, name: &str) -> ResourceId {
        self.make(USER, &json!({"schemas": [core::USER], "userName": name}))
    }

    /// A new group with these members.
    pub fn group(&self, name: &str, members: &[ResourceId]) -> ResourceId {
        let members = members_of(members.iter().map(ToString::to_string));
        let body = json!({"schemas": [core::GROUP], "displayName": name, "members": members});
        self.make(GROUP, &body)
    }

    /// A new resource.
    fn make(&self, kind: ResourceKind, body: &Value) -> ResourceId {
        self.create(Way::Begun, kind, body).unwrap().stored.id
    }

    /// POST.
    pub fn create(
        &self,
        way: Way,
        kind: ResourceKind,
        body: &Value,
    ) -> Result<Written, DirectoryError> {
        let intent = self.directory.creation(kind, body.clone(), &act())?;
        carry_out(&self.directory, way, intent, &act())
    }

    /// PATCH.
    pub fn patch(
        &self,
        way: Way,
        kind: ResourceKind,
        id: ResourceId,
        operations: &Value,
        if_match: Option<Precondition>,
    ) -> Result<Written, DirectoryError> {
        let body = json!({"schemas": [PATCH_OP], "Operations": operations});
        let intent = self.directory.patch(kind, id, body)?;
        let act = Act { if_match, ..act() };
        carry_out(&self.directory, way, intent, &act)
    }

    /// PUT.
    pub fn replace(
        &self,
        way: Way,
        kind: ResourceKind,
        id: ResourceId,
        body: &Value,
    ) -> Result<Written, DirectoryError> {
        let intent = self.directory.replacement(kind, id, body.clone())?;
        carry_out(&self.directory, way, intent, &act())
    }

    /// DELETE.
    pub fn delete(
        &self,
        way: Way,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Written, DirectoryError> {
        carry_out(
            &self.directory,
            way,
            self.directory.deletion(kind, id),
            &act(),
        )
    }

    /// A resource with its memberships.
    pub fn read(&self, kind: ResourceKind, id: ResourceId) -> Option<Stored> {
        self.directory.read(kind, id, true).unwrap()
    }

    /// The members of a group in the order of their ids.
    pub fn members(&self, group: ResourceId) -> Vec<ResourceId> {
        match self.read(GROUP, group).map(|stored| stored.memberships) {
            Some(Memberships::Members(members)) => members.iter().map(|member| member.id).collect(),
            other => panic!("no group with members: {other:?}"),
        }
    }

    /// The groups of a user: id, name, and whether it is a member itself.
    pub fn groups(&self, user: ResourceId) -> Vec<(ResourceId, String, bool)> {
        match self.read(USER, user).map(|stored| stored.memberships) {
            Some(Memberships::Groups(groups)) => groups
                .iter()
                .map(|group| (group.id, group.label.to_string(), group.direct))
                .collect(),
            other => panic!("no user with groups: {other:?}"),
        }
    }

    /// Revision and time of the last change.
    pub fn version(&self, kind: ResourceKind, id: ResourceId) -> (Revision, Timestamp) {
        let stored = self.read(kind, id).unwrap();
        (stored.revision, stored.modified)
    }
}

/// Who asks.
pub fn act() -> Act {
    Act {
        actor: Actor::System,
        request: RequestId::from_bytes([7; 16]),
        if_match: None,
    }
}

/// Does what is intended.
pub fn carry_out(
    directory: &Directory,
    way: Way,
    intent: Intent,
    act: &Act,
) -> Result<Written, DirectoryError> {
    if way == Way::Waiting {
        return directory.finish(intent, act);
    }
    let (told, outcome) = mpsc::sync_channel(1);
    let then = Box::new(move |outcome| told.send(outcome).unwrap());
    match directory.begin(intent, act, then)? {
        Begun::Done(written) => Ok(written),
        Begun::NotPromptly(intent) => directory.finish(intent, act),
        Begun::Submitted(submitted) => match outcome.recv() {
            Ok(Ok(committed)) => Ok(submitted.acknowledged(&committed)),
            untold => directory.settle(submitted, act, untold.ok().and_then(Result::err)),
        },
    }
}

/// A list of members as clients send it.
pub fn members_of<T: ToString>(values: impl IntoIterator<Item = T>) -> Value {
    let element = |value: T| json!({"value": value.to_string()});
    values.into_iter().map(element).collect()
}
