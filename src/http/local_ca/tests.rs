//! When the authority makes what, and what it refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use crate::base::clock::Timestamp;
use crate::http::certificate::DAY_MS;
use crate::http::certificate::Summary;
use crate::http::certificate::load;
use crate::http::local_ca::CA_DAYS;
use crate::http::local_ca::LEAF_DAYS;
use crate::http::local_ca::LocalCaError;
use crate::http::local_ca::ensure;

/// 2026-01-31T00:00:00Z.
const NOW: Timestamp = Timestamp::from_millis(1_769_817_600_000);

/// What the authority in `dir` has ready for `names`, `days` after now.
fn ready(dir: &Path, names: &[&str], days: i64) -> Summary {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let now = NOW.plus_millis(days * DAY_MS);
    let local = ensure(dir, &names, now).unwrap();
    load(&local.chain, &local.key, now, &[local.ca]).unwrap().1
}

/// Why there is nothing ready.
fn refused(dir: &Path, names: &[&str], days: i64) -> String {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let error = ensure(dir, &names, NOW.plus_millis(days * DAY_MS)).unwrap_err();
    error.to_string().replace(&dir.display().to_string(), "DIR")
}

#[test]
fn the_first_call_makes_an_authority_and_a_leaf() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("state/tls");
    let summary = ready(&dir, &["Scim.Corp.Example", "10.2.0.14"], 0);
    assert!(
        summary
            .issuer
            .starts_with("O=Rollcall, CN=Rollcall local CA ")
    );
    assert_eq!(summary.subject, "CN=scim.corp.example");
    let mut names = summary.names.clone();
    names.sort();
    assert_eq!(
        names,
        [
            "10.2.0.14",
            "127.0.0.1",
            "::1",
            "localhost",
            "scim.corp.example"
        ]
    );
    assert_eq!(summary.not_before, NOW.plus_millis(-DAY_MS));
    assert_eq!(summary.not_after, NOW.plus_millis(LEAF_DAYS * DAY_MS));
    assert_eq!(summary.warnings, [""; 0]);
    let mut modes: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            // The umask may take away what group and others could have.
            (entry.file_name().into_string().unwrap(), mode & 0o700)
        })
        .collect();
    modes.sort();
    let expected = ["ca.key", "ca.pem", "leaf.key", "leaf.pem"];
    assert_eq!(modes, expected.map(|name| (name.to_owned(), 0o600)));
    for key in ["ca.key", "leaf.key"] {
        let mode = fs::metadata(dir.join(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
}

#[test]
fn a_leaf_stays_while_it_is_good() {
    let dir = TempDir::new().unwrap();
    let first = ready(dir.path(), &["a.example"], 0);
    for (names, days) in [
        (["a.example", "a.example"], 0),
        (["A.EXAMPLE", "localhost"], 200),
        (["a.example", "127.0.0.1"], LEAF_DAYS - 30),
    ] {
        let again = ready(dir.path(), &names, days);
        assert_eq!(again.fingerprint, first.fingerprint, "{names:?} {days}");
    }
}

#[test]
fn a_leaf_is_made_anew_when_it_has_to_be() {
    for (names, days) in [
        (["b.example", "a.example"], 0),
        (["a.example", "10.0.0.1"], 0),
        (["a.example", "a.example"], LEAF_DAYS - 29),
        // The clock went back behind the leaf's beginning.
        (["a.example", "a.example"], -2),
    ] {
        let dir = TempDir::new().unwrap();
        let first = ready(dir.path(), &["a.example"], 0);
        let ca = fs::read(dir.path().join("ca.pem")).unwrap();
        let again = ready(dir.path(), &names, days);
        assert_ne!(again.fingerprint, first.fingerprint, "{names:?} {days}");
        assert_eq!(fs::read(dir.path().join("ca.pem")).unwrap(), ca);
    }
}

#[test]
fn damage_to_the_leaf_mends_itself() {
    let other = TempDir::new().unwrap();
    ready(other.path(), &["a.example"], 0);
    for (file, bytes) in [
        ("leaf.pem", None),
        ("leaf.key", None),
        ("leaf.pem", Some(b"torn".to_vec())),
        ("leaf.key", Some(b"torn".to_vec())),
        ("leaf.key", fs::read(other.path().join("leaf.key")).ok()),
        ("leaf.pem", fs::read(other.path().join("leaf.pem")).ok()),
    ] {
        let dir = TempDir::new().unwrap();
        let first = ready(dir.path(), &["a.example"], 0);
        let path = dir.path().join(file);
        match &bytes {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let again = ready(dir.path(), &["a.example"], 0);
        assert_ne!(again.fingerprint, first.fingerprint, "{file} {bytes:?}");
        assert_eq!(again.issuer, first.issuer, "{file} {bytes:?}");
    }
}

#[test]
fn what_a_crash_left_is_no_obstacle() {
    let dir = TempDir::new().unwrap();
    for file in ["ca.new", "leaf.new", "ca.key"] {
        fs::write(dir.path().join(file), "half").unwrap();
    }
    ready(dir.path(), &["a.example"], 0);
    assert!(!dir.path().join("ca.new").exists());
}

#[test]
fn an_authority_that_is_not_whole_is_never_replaced() {
    let other = TempDir::new().unwrap();
    ready(other.path(), &["a.example"], 0);
    let whole = "the local certificate authority in DIR is not whole: ";
    for (file, bytes, what) in [
        ("ca.key", None, "ca.key is missing"),
        ("ca.key", Some(b"torn".to_vec()), "ca.key is damaged"),
        ("ca.pem", Some(b"torn".to_vec()), "ca.pem is damaged"),
        (
            "ca.key",
            fs::read(other.path().join("ca.key")).ok(),
            "ca.key is not the key of ca.pem",
        ),
    ] {
        let dir = TempDir::new().unwrap();
        ready(dir.path(), &["a.example"], 0);
        let path = dir.path().join(file);
        match &bytes {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        assert_eq!(
            refused(dir.path(), &["a.example"], 0),
            format!("{whole}{what}")
        );
    }
}

#[test]
fn no_leaf_outlives_its_authority() {
    let dir = TempDir::new().unwrap();
    ready(dir.path(), &["a.example"], 0);
    let last = ready(dir.path(), &["a.example"], CA_DAYS - 10);
    assert_eq!(last.not_after, NOW.plus_millis(CA_DAYS * DAY_MS));
    assert_eq!(
        refused(dir.path(), &["a.example"], CA_DAYS),
        "the local certificate authority in DIR expired at 2036-01-29T00:00:00.000Z"
    );
}

#[test]
fn a_name_that_no_certificate_can_hold_is_refused() {
    let dir = TempDir::new().unwrap();
    let long = "a".repeat(254);
    for name in ["", "a b", "naïve.example", "a/b", &long] {
        assert!(matches!(
            ensure(dir.path(), &[name.to_owned()], NOW),
            Err(LocalCaError::Name(bad)) if bad == name
        ));
    }
}
