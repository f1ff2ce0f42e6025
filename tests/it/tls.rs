//! TLS: both versions, both protocols, the local authority, certificates from files and their exchange without a
//! dropped connection.

use std::fs;
use std::path::Path;

use rcgen::CertificateParams;
use rcgen::KeyPair;
use rcgen::date_time_ymd;
use rustls::ProtocolVersion;
use rustls::version::TLS12;
use rustls::version::TLS13;

use crate::harness::Appliance;
use crate::wire::Trust;
use crate::wire::Wire;

#[test]
fn both_versions_and_both_protocols_are_spoken() {
    let appliance = Appliance::start();
    for (version, agreed) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        for (offered, chosen) in [
            (&["h2", "http/1.1"][..], Some("h2")),
            (&["http/1.1"], Some("http/1.1")),
            (&[], None),
        ] {
            let trust = appliance.trust_with(&[version], offered);
            let wire = Wire::connect(appliance.address(), "localhost", &trust).unwrap();
            assert_eq!(
                wire.agreed(),
                (agreed, chosen.map(str::to_owned)),
                "{offered:?}"
            );
        }
    }
}

#[test]
fn the_local_certificate_carries_every_name_the_appliance_has() {
    let appliance = Appliance::start();
    for name in ["localhost", "127.0.0.1", "::1", "scim.northbridge.example"] {
        Wire::connect(appliance.address(), name, &appliance.trust())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert!(
        Wire::connect(appliance.address(), "other.example", &appliance.trust()).is_err(),
        "and no other"
    );
}

#[test]
fn the_local_authority_is_made_once() {
    let mut appliance = Appliance::start();
    let trust = appliance.trust();
    appliance.restart();
    Wire::connect(appliance.address(), "localhost", &trust).unwrap();
}

/// Writes a self-signed certificate and its key; returns the certificate.
fn write_pair(folder: &Path) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2035, 1, 1);
    let certificate = params.self_signed(&key).unwrap().pem();
    fs::write(folder.join("chain.pem"), &certificate).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    certificate
}

/// Trust in one certificate.
fn trust(pem: &str) -> Trust {
    Trust::new(pem.as_bytes(), None, rustls::ALL_VERSIONS, &["http/1.1"])
}

#[test]
fn a_new_certificate_is_taken_without_dropping_connections_and_a_bad_one_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_pair(folder.path());
    let at = folder.path().display();
    let appliance = Appliance::start_with(&[
        "tls.mode=\"files\"",
        &format!("tls.chain=\"{at}/chain.pem\""),
        &format!("tls.key=\"{at}/key.pem\""),
    ]);
    let directory = appliance.directory("one", "entra");
    let list = directory.request("GET", "/Users");
    let mut old = Wire::connect(appliance.address(), "localhost", &trust(&first)).unwrap();
    assert_eq!(old.send(&list).unwrap().status, 200);

    let second = write_pair(folder.path());
    appliance.reload();
    assert_eq!(
        old.send(&list).unwrap().status,
        200,
        "the open connection lives on"
    );
    let mut new = Wire::connect(appliance.address(), "localhost", &trust(&second)).unwrap();
    assert_eq!(new.send(&list).unwrap().status, 200);
    assert_ne!(old.certificate(), new.certificate());

    for (why, chain, key) in [
        ("no certificate", "nothing", None),
        ("no file", "", None),
        (
            "a key of somebody else",
            second.as_str(),
            Some(KeyPair::generate().unwrap().serialize_pem()),
        ),
    ] {
        fs::write(folder.path().join("chain.pem"), chain).unwrap();
        if let Some(key) = key {
            fs::write(folder.path().join("key.pem"), key).unwrap();
        }
        appliance.reload();
        let mut wire = Wire::connect(appliance.address(), "localhost", &trust(&second))
            .unwrap_or_else(|error| panic!("{why}: {error}"));
        assert_eq!(
            wire.send(&list).unwrap().status,
            200,
            "{why}: the old one stays in use"
        );
    }
}
