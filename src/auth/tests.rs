//! Checking tokens against a real store.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::auth::Auth;
use crate::auth::Authentication;
use crate::auth::Caller;
use crate::auth::HashCost;
use crate::auth::Issued;
use crate::auth::NewToken;
use crate::auth::Refusal;
use crate::auth::Settings;
use crate::auth::present;
use crate::auth::refusal::Counted;
use crate::base::clock::Clock;
use crate::base::clock::ManualClock;
use crate::base::clock::Timestamp;
use crate::base::ident::CountedIds;
use crate::base::ident::DirectoryId;
use crate::base::ident::DirectoryName;
use crate::base::ident::RandomIds;
use crate::base::ident::Revision;
use crate::base::ident::TokenId;
use crate::scim::schema::Profile;
use crate::store;
use crate::store::Store;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::change::Transaction;
use crate::store::row::DirectoryRow;
use crate::store::row::Scope;
use crate::store::row::TokenRow;

/// As cheap as argon2 allows.
pub const CHEAP: Settings = Settings {
    cost: HashCost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    },
    checks_parallel_max: 2,
    checks_waiting_max: 64,
    token_failures_max: 10,
    address_refusals_max: 300,
};
/// Where callers come from.
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// When the tests take place.
pub const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Opens a store in `dir`.
pub fn open_store(dir: &TempDir, clock: &ManualClock) -> Store {
    let settings = store::Settings {
        dir: dir.path().to_owned(),
        segment_bytes: 1 << 20,
        reserve_bytes: 0,
        free_soft_bytes: 0,
        free_hard_bytes: 0,
        cache_bytes: 1 << 20,
        base_log_bytes: u64::MAX,
        retention: store::chronicle::Retention {
            history: Duration::from_secs(86_400),
            audit: Duration::from_secs(86_400),
        },
    };
    Store::open(
        &settings,
        Arc::new(clock.clone()),
        &CountedIds::default(),
        &|_| {},
    )
    .unwrap()
}

/// A room over a store with the directories `one` and `two`.
struct Fixture {
    /// Where the store is.
    dir: TempDir,
    /// The store.
    store: Store,
    /// The time.
    clock: ManualClock,
    /// The room.
    auth: Auth,
}

impl Fixture {
    /// A new one.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(START);
        let store = open_store(&dir, &clock);
        for name in ["one", "two"] {
            commit(
                &store,
                Change::PutDirectory {
                    row: DirectoryRow {
                        id: DirectoryId(0),
                        name: DirectoryName::parse(name).unwrap(),
                        profile: Profile::Entra,
                        users_only: false,
                        enabled: true,
                        created: START,
                        revision: Revision::FIRST,
                    },
                    expect: Expect::Absent,
                },
            );
        }
        let auth = open_auth(&store, &clock);
        Self {
            dir,
            store,
            clock,
            auth,
        }
    }

    /// The row of a directory.
    fn directory(&self, name: &str) -> Arc<DirectoryRow> {
        let name = DirectoryName::parse(name).unwrap();
        self.store.directory(&name).unwrap()
    }

    /// Makes and stores a token of the directory `one`.
    fn token(&self, scope: Scope, expires: Option<Timestamp>) -> (TokenId, String) {
        let issued = self.issue(Some(self.directory("one").id), scope, expires);
        put_token(&self.store, issued.row.clone(), Expect::Absent);
        (issued.row.id, issued.text.expose().clone())
    }

    /// Makes a token.
    fn issue(
        &self,
        directory: Option<DirectoryId>,
        scope: Scope,
        expires: Option<Timestamp>,
    ) -> Issued {
        let new = NewToken {
            directory,
            scope,
            label: String::new(),
            expires,
            rotate_by: None,
        };
        self.auth.issue(new).unwrap()
    }

    /// Changes the stored row of a token.
    fn change_token(&self, id: TokenId, change: impl FnOnce(&mut TokenRow)) {
        let mut row = TokenRow::clone(&self.store.token(id).unwrap());
        let expect = Expect::Revision(row.revision);
        change(&mut row);
        row.revision = row.revision.next();
        put_token(&self.store, row, expect);
    }

    /// Presents `text` to `directory` without waiting.
    fn authenticate(&self, text: &str, directory: &str) -> Authentication {
        let header = format!("Bearer {text}");
        self.auth
            .authenticate(present([header.as_bytes()], false), directory, PEER)
    }

    /// Presents `text` to `directory`, waiting if need be; tells whether that was needed.
    fn enter(&self, text: &str, directory: &str) -> (bool, Result<Caller, Refusal>) {
        match self.authenticate(text, directory) {
            Authentication::Known(caller) => (false, Ok(caller)),
            Authentication::Check(check) => (true, check.run()),
            Authentication::Refused(refusal) => (false, Err(refusal)),
        }
    }

    /// The reason why `text` is refused at the directory `one`, or `ok`.
    fn reason(&self, text: &str) -> &'static str {
        self.enter(text, "one")
            .1
            .map_or_else(|refusal| refusal.reason(), |_| "ok")
    }
}

/// A room over `store`, with a memory of its own.
fn open_auth(store: &Store, clock: &ManualClock) -> Auth {
    let clock = Arc::new(clock.clone());
    Auth::new(store.clone(), clock, Arc::new(RandomIds::default()), CHEAP).unwrap()
}

/// Commits one change.
fn commit(store: &Store, change: Change) {
    store
        .commit(Transaction {
            changes: vec![change],
            history: Vec::new(),
            audit: Vec::new(),
        })
        .unwrap();
}

/// Stores a token.
fn put_token(store: &Store, row: TokenRow, expect: Expect) {
    commit(store, Change::PutToken { row, expect });
}

#[test]
fn a_token_is_checked_once_and_known_from_then_on() {
    let fixture = Fixture::new();
    for (scope, may_write) in [(Scope::Provision, true), (Scope::Read, false)] {
        let (id, text) = fixture.token(scope, None);
        for waited in [true, false, false] {
            let (had_to_wait, caller) = fixture.enter(&text, "one");
            let caller = caller.unwrap();
            assert_eq!(had_to_wait, waited, "{scope:?}");
            assert_eq!((caller.token, caller.scope), (id, scope));
            assert_eq!(caller.directory, fixture.directory("one"));
            assert_eq!(caller.may_write(), may_write, "{scope:?}");
            assert_eq!(caller.require_write().is_ok(), may_write, "{scope:?}");
        }
    }
}

#[test]
fn a_token_works_after_a_restart() {
    let fixture = Fixture::new();
    let (_, text) = fixture.token(Scope::Provision, None);
    let Fixture {
        dir,
        store,
        clock,
        auth,
    } = fixture;
    drop(auth);
    store.shutdown();
    drop(store);
    let store = open_store(&dir, &clock);
    let auth = open_auth(&store, &clock);
    let fixture = Fixture {
        dir,
        store,
        clock,
        auth,
    };
    let (waited, caller) = fixture.enter(&text, "one");
    assert!(waited && caller.is_ok());
}

#[test]
fn each_refusal_has_its_reason() {
    let fixture = Fixture::new();
    let (good_id, good) = fixture.token(Scope::Provision, None);
    // The id of a good token with the secret of another.
    let other = fixture.issue(None, Scope::Provision, None);
    let stranger = other.text.expose().clone();
    let mixed = crate::auth::token::recombine(good_id, &stranger);
    let (revoked_id, revoked) = fixture.token(Scope::Provision, None);
    fixture.change_token(revoked_id, |row| row.revoked = Some(START));
    let (_, expired) = fixture.token(Scope::Provision, Some(START));
    let health = fixture.issue(None, Scope::Health, None);
    put_token(&fixture.store, health.row.clone(), Expect::Absent);
    let health = health.text.expose();
    for (text, directory, reason, status) in [
        (good.as_str(), "two", "auth.wrong_directory", 401),
        (&good, "three", "auth.directory_unknown", 401),
        (&good, "no such name", "auth.directory_unknown", 401),
        (&good, "", "auth.directory_unknown", 401),
        (&stranger, "one", "auth.unknown", 401),
        (&stranger, "three", "auth.directory_unknown", 401),
        (&mixed, "one", "auth.secret", 401),
        (&mixed, "two", "auth.secret", 401),
        (&mixed, "three", "auth.directory_unknown", 401),
        (&revoked, "one", "auth.revoked", 401),
        (&revoked, "two", "auth.wrong_directory", 401),
        (&expired, "one", "auth.expired", 401),
        (health, "one", "auth.scope", 403),
        (health, "three", "auth.directory_unknown", 401),
        ("rc_", "one", "auth.truncated", 401),
        ("hunter2", "one", "auth.unknown", 401),
        ("", "one", "auth.malformed", 400),
    ] {
        let (waited, caller) = fixture.enter(text, directory);
        let refusal = caller.err().unwrap();
        assert_eq!(
            (refusal.reason(), refusal.status()),
            (reason, status),
            "{directory:?} {refusal:?}"
        );
        assert!(!waited, "argon2 ran for {refusal:?}");
    }
}

#[test]
fn what_the_store_says_counts_at_once_for_remembered_and_for_new_tokens() {
    let fixture = Fixture::new();
    let expires = START.plus_millis(60_000);
    let (id, text) = fixture.token(Scope::Provision, Some(expires));
    let fresh = |fixture: &Fixture| open_auth(&fixture.store, &fixture.clock);
    assert_eq!(fixture.reason(&text), "ok");
    let set_enabled = |enabled| {
        let mut row = DirectoryRow::clone(&fixture.directory("one"));
        row.enabled = enabled;
        commit(
            &fixture.store,
            Change::PutDirectory {
                row,
                expect: Expect::Exists,
            },
        );
    };
    let both = |expected: &str| {
        assert_eq!(fixture.reason(&text), expected);
        let header = format!("Bearer {text}");
        let reason =
            match fresh(&fixture).authenticate(present([header.as_bytes()], false), "one", PEER) {
                Authentication::Known(_) => "known",
                Authentication::Check(check) => check
                    .run()
                    .map_or_else(|refusal| refusal.reason(), |_| "ok"),
                Authentication::Refused(refusal) => refusal.reason(),
            };
        assert_eq!(reason, expected);
    };
    both("ok");
    set_enabled(false);
    both("path.directory_disabled");
    set_enabled(true);
    both("ok");
    fixture.clock.advance(59_999);
    both("ok");
    fixture.clock.advance(1);
    both("auth.expired");
    fixture.change_token(id, |row| row.expires = None);
    both("ok");
    fixture.change_token(id, |row| row.revoked = Some(START));
    both("auth.revoked");
    fixture.change_token(id, |row| row.revoked = None);
    both("ok");
    let directory = fixture.directory("one").id;
    commit(&fixture.store, Change::DeleteDirectory { id: directory });
    both("auth.directory_unknown");
}

#[test]
fn a_check_that_waited_sees_what_happened_meanwhile() {
    let fixture = Fixture::new();
    let (id, text) = fixture.token(Scope::Provision, None);
    let check = || match fixture.authenticate(&text, "one") {
        Authentication::Check(check) => check,
        Authentication::Known(_) | Authentication::Refused(_) => panic!("no check"),
    };
    let (one, two) = (check(), check());
    assert!(one.run().is_ok());
    fixture.change_token(id, |row| row.revoked = Some(START));
    assert_eq!(two.run().err(), Some(Refusal::Revoked { id, at: START }));
}

#[test]
fn many_first_requests_at_once_all_get_in() {
    let fixture = Fixture::new();
    let (_, text) = fixture.token(Scope::Provision, None);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(fixture.reason(&text), "ok"));
        }
    });
}

#[test]
fn refusals_are_counted_by_address_and_good_tokens_pass_all_the_same() {
    let fixture = Fixture::new();
    let (_, known) = fixture.token(Scope::Provision, None);
    let (_, new) = fixture.token(Scope::Read, None);
    assert_eq!(fixture.reason(&known), "ok");
    for _ in 0..300 {
        assert_eq!(fixture.reason("hunter2"), "auth.unknown");
    }
    let by = Counted::Address(PEER);
    let throttled = |retry_after_s| Some(Refusal::Throttled { by, retry_after_s });
    assert_eq!(fixture.enter("hunter2", "one").1.err(), throttled(60));
    let missing = fixture.auth.authenticate(present([], false), "one", PEER);
    assert!(matches!(
        missing,
        Authentication::Refused(Refusal::Throttled { .. })
    ));
    assert_eq!(fixture.reason(&known), "ok");
    assert_eq!(fixture.reason(&new), "ok");
    let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
    let missing = fixture
        .auth
        .authenticate(present([], false), "one", elsewhere);
    assert!(matches!(
        missing,
        Authentication::Refused(Refusal::Missing { .. })
    ));
    fixture.clock.advance(59_001);
    assert_eq!(fixture.enter("hunter2", "one").1.err(), throttled(1));
    fixture.clock.advance(999);
    assert_eq!(fixture.reason("hunter2"), "auth.unknown");
}

#[test]
fn ten_failed_checks_hold_a_token_back_for_a_minute() {
    let fixture = Fixture::new();
    let (id, text) = fixture.token(Scope::Provision, None);
    let (other, _) = fixture.token(Scope::Provision, None);
    let good = fixture.store.token(id).unwrap().hash.clone();
    let wrong = fixture.store.token(other).unwrap().hash.clone();
    // As if a wrong secret had the right 24 bits.
    fixture.change_token(id, |row| row.hash = wrong);
    for _ in 0..10 {
        let (waited, caller) = fixture.enter(&text, "one");
        assert!(waited);
        assert_eq!(caller.err(), Some(Refusal::WrongSecret { id }));
    }
    let throttled = Refusal::Throttled {
        by: Counted::Token(id),
        retry_after_s: 60,
    };
    assert_eq!(fixture.enter(&text, "one").1.err(), Some(throttled));
    fixture.clock.advance(60_000);
    fixture.change_token(id, |row| row.hash = good);
    assert_eq!(fixture.reason(&text), "ok");
}

#[test]
fn a_hash_that_cannot_be_read_is_nobodys_fault() {
    let fixture = Fixture::new();
    let (id, text) = fixture.token(Scope::Provision, None);
    fixture.change_token(id, |row| row.hash = "$argon2id$".to_owned());
    let refusal = fixture.enter(&text, "one").1.err().unwrap();
    assert_eq!(
        (refusal.status(), refusal.reason()),
        (503, "auth.unavailable")
    );
}

#[test]
fn last_uses_are_written_when_asked_and_only_once() {
    let fixture = Fixture::new();
    let (id, text) = fixture.token(Scope::Provision, None);
    assert_eq!(fixture.auth.flush_last_used().unwrap(), 0);
    assert_eq!(fixture.reason(&text), "ok");
    fixture.clock.advance(5_000);
    let at = fixture.clock.now();
    assert_eq!(fixture.reason(&text), "ok");
    // Refused uses are none.
    assert_eq!(
        fixture
            .enter(&text, "two")
            .1
            .err()
            .map(|refusal| refusal.status()),
        Some(401)
    );
    let row = fixture.store.token(id).unwrap();
    let used = Some((at, PEER.to_string()));
    assert_eq!(
        (row.last_used.clone(), fixture.auth.last_use(&row)),
        (None, used.clone())
    );
    assert_eq!(fixture.auth.flush_last_used().unwrap(), 1);
    assert_eq!(fixture.auth.flush_last_used().unwrap(), 0);
    let row = fixture.store.token(id).unwrap();
    assert_eq!(row.last_used, used);
    assert_eq!(
        open_auth(&fixture.store, &fixture.clock).last_use(&row),
        used
    );
    // The token is still known: writing its row has not touched the hash.
    assert!(matches!(
        fixture.authenticate(&text, "one"),
        Authentication::Known(_)
    ));
}

#[test]
fn the_operator_learns_whether_a_token_works() {
    let fixture = Fixture::new();
    let (id, text) = fixture.token(Scope::Provision, None);
    let verdict = |text: &str| fixture.auth.verify(text).map(|row| row.id);
    assert_eq!(verdict(&format!("Bearer {text}\n")), Ok(id));
    assert_eq!(verdict(&text), Ok(id));
    let (cut, _) = text.split_at(40);
    assert_eq!(verdict(cut), Err(Refusal::Truncated { chars: Some(40) }));
    let other = fixture.issue(None, Scope::Read, None);
    let mixed = crate::auth::token::recombine(id, other.text.expose());
    assert_eq!(verdict(&mixed), Err(Refusal::WrongSecret { id }));
    fixture.change_token(id, |row| row.revoked = Some(START));
    assert_eq!(verdict(&text), Err(Refusal::Revoked { id, at: START }));
}
