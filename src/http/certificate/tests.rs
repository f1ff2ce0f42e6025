//! Certificates that are good, bad and doubtful, made on the spot.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use rcgen::BasicConstraints;
use rcgen::Certificate;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

use crate::base::clock::Timestamp;
use crate::http::certificate::CertificateError;
use crate::http::certificate::DAY_MS;
use crate::http::certificate::Summary;
use crate::http::certificate::load;
use crate::http::certificate::system_roots;

/// 2026-01-31T00:00:00Z.
const NOW: Timestamp = Timestamp::from_millis(1_769_817_600_000);

/// Parameters of a certificate for `name`, valid from `from` to `to` days after now.
fn params(name: &str, (from, to): (i64, i64)) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["scim.example".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let at = |days: i64| {
        let millis = NOW.plus_millis(days * DAY_MS).millis();
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(millis.unsigned_abs())
    };
    (params.not_before, params.not_after) = (at(from), at(to));
    params
}

/// Parameters of an authority.
fn authority(name: &str) -> CertificateParams {
    let mut params = params(name, (-10, 1_000));
    params.subject_alt_names.clear();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// A root, an intermediate and a leaf, and a folder to put them in.
struct World {
    /// The folder.
    dir: TempDir,
    /// The root.
    root: Certificate,
    /// What the root signs with.
    root_issuer: Issuer<'static, KeyPair>,
    /// What the intermediate signs with.
    middle_issuer: Issuer<'static, KeyPair>,
    /// The intermediate.
    middle: Certificate,
    /// The leaf's key.
    key: KeyPair,
    /// The leaf.
    leaf: Certificate,
}

impl World {
    /// Makes them.
    fn new() -> Self {
        let root_key = KeyPair::generate().unwrap();
        let root = authority("Example Root").self_signed(&root_key).unwrap();
        let root_issuer = Issuer::new(authority("Example Root"), root_key);
        let middle_key = KeyPair::generate().unwrap();
        let middle = authority("Example Intermediate")
            .signed_by(&middle_key, &root_issuer)
            .unwrap();
        let middle_issuer = Issuer::new(authority("Example Intermediate"), middle_key);
        let key = KeyPair::generate().unwrap();
        let leaf = params("scim.example", (-1, 90))
            .signed_by(&key, &middle_issuer)
            .unwrap();
        Self {
            dir: TempDir::new().unwrap(),
            root,
            root_issuer,
            middle_issuer,
            middle,
            key,
            leaf,
        }
    }

    /// A file with this text, readable by its owner.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// What loading these texts comes to; `DIR/` stands for the folder in every text.
    fn load(&self, chain: &str, key: &str) -> Result<Summary, (String, String)> {
        let chain = self.file("chain.pem", chain);
        let key = self.file("key.pem", key);
        let roots = [CertificateDer::from(self.root.der().to_vec())];
        match load(&chain, &key, NOW, &roots) {
            Ok((_, mut summary)) => {
                for warning in &mut summary.warnings {
                    *warning = self.shorten(warning);
                }
                Ok(summary)
            }
            Err(error) => Err((self.shorten(&error.to_string()), self.shorten(&error.fix()))),
        }
    }

    /// Takes the folder's name out of a text.
    fn shorten(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.dir.path().display()), "DIR/")
    }

    /// The warnings about a chain that can be used.
    fn warnings(&self, chain: &[&Certificate]) -> Vec<String> {
        let chain: String = chain.iter().map(|one| one.pem()).collect();
        self.load(&chain, &self.key.serialize_pem())
            .unwrap()
            .warnings
    }
}

#[test]
fn a_whole_chain_is_summed_up_without_a_warning() {
    let world = World::new();
    let chain = format!("{}{}", world.leaf.pem(), world.middle.pem());
    let summary = world.load(&chain, &world.key.serialize_pem()).unwrap();
    let fingerprint = summary.fingerprint.clone();
    assert_eq!(fingerprint.len(), 95, "{fingerprint}");
    let expected = Summary {
        subject: "CN=scim.example".to_owned(),
        issuer: "CN=Example Intermediate".to_owned(),
        names: vec!["scim.example".to_owned()],
        not_before: NOW.plus_millis(-DAY_MS),
        not_after: NOW.plus_millis(90 * DAY_MS),
        fingerprint,
        chain_length: 2,
        warnings: Vec::new(),
    };
    assert_eq!(summary, expected);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table with a row for each cause")]
fn what_cannot_be_used_is_refused_with_its_cure() {
    let world = World::new();
    let (leaf, middle) = (world.leaf.pem(), world.middle.pem());
    let key = world.key.serialize_pem();
    let other = KeyPair::generate().unwrap().serialize_pem();
    let request = params("scim.example", (-1, 90))
        .serialize_request(&world.key)
        .unwrap()
        .pem()
        .unwrap();
    let chain_cure = "put the server's certificate and the intermediates after it into the file, as PEM text (-----BEGIN CERTIFICATE-----)";
    let key_cure =
        "point tls.key at the file with the key, as PEM text (-----BEGIN PRIVATE KEY-----)";
    let damaged_cure =
        "export it again; to look at it: openssl x509 -in DIR/chain.pem -noout -text";
    let torn = leaf.replace("-----END CERTIFICATE-----", "");
    let hollow = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    let sealed =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (chain, key, error, fix) in [
        (
            "",
            &*key,
            "DIR/chain.pem holds no certificate: it is empty",
            chain_cure,
        ),
        (
            &*key,
            &key,
            "DIR/chain.pem holds no certificate: it holds a private key only",
            chain_cure,
        ),
        (
            "\x30\x01",
            &key,
            "DIR/chain.pem holds no certificate: it is binary (DER or PKCS#12), and PEM text is needed",
            chain_cure,
        ),
        (
            &request,
            &key,
            "DIR/chain.pem holds no certificate: it holds a certificate request, which an authority has yet to answer",
            chain_cure,
        ),
        (
            "hello",
            &key,
            "DIR/chain.pem holds no certificate: there is no PEM section of that kind in it",
            chain_cure,
        ),
        (
            &leaf,
            &leaf,
            "DIR/key.pem holds no private key: it holds certificates only",
            key_cure,
        ),
        (
            &leaf,
            "\n",
            "DIR/key.pem holds no private key: it is empty",
            key_cure,
        ),
        (
            &leaf,
            sealed,
            "the private key DIR/key.pem is protected by a passphrase",
            "take the passphrase off: openssl pkey -in DIR/key.pem -out NEW_FILE; chmod 640 NEW_FILE",
        ),
        (
            &leaf,
            &other,
            "the private key DIR/key.pem does not belong to the certificate in DIR/chain.pem (subject: CN=scim.example)",
            "use the key with which this certificate was requested, or request a certificate for this key",
        ),
        (
            &format!("{middle}{leaf}"),
            &key,
            "the certificates in DIR/chain.pem are in the wrong order: the private key belongs to number 2",
            "put the server's own certificate first, then the one that issued it, and so on",
        ),
        (
            hollow,
            &key,
            "DIR/chain.pem is damaged: certificate number 1 is not an X.509 certificate",
            damaged_cure,
        ),
        (
            &torn,
            &key,
            "DIR/chain.pem is damaged: the line -----END CERTIFICATE----- is missing",
            damaged_cure,
        ),
    ] {
        let found = world.load(chain, key).unwrap_err();
        assert_eq!(found, (error.to_owned(), fix.to_owned()));
    }
}

#[test]
fn a_key_of_an_odd_kind_is_refused() {
    let world = World::new();
    // PKCS#8 around an X25519 key, which cannot sign.
    let odd = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n";
    let (error, _) = world.load(&world.leaf.pem(), odd).unwrap_err();
    assert_eq!(
        error,
        "the private key DIR/key.pem cannot be used: it is neither RSA of 2048 to 8192 bits, nor ECDSA on P-256 or P-384, nor Ed25519"
    );
}

#[test]
fn a_certificate_outside_its_time_is_refused() {
    let world = World::new();
    for (days, error) in [
        (
            (-90, -1),
            "the certificate in DIR/chain.pem expired at 2026-01-30T00:00:00.000Z",
        ),
        (
            (1, 90),
            "the certificate in DIR/chain.pem is not valid before 2026-02-01T00:00:00.000Z, and this machine's clock shows 2026-01-31T00:00:00.000Z",
        ),
    ] {
        let leaf = params("scim.example", days)
            .signed_by(&world.key, &world.middle_issuer)
            .unwrap();
        let found = world.load(&leaf.pem(), &world.key.serialize_pem());
        assert_eq!(found.unwrap_err().0, error);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let world = World::new();
    let key = world.file("key.pem", &world.key.serialize_pem());
    let missing = world.dir.path().join("missing.pem");
    let error = load(&missing, &key, NOW, &[]).unwrap_err();
    assert_eq!(
        (world.shorten(&error.to_string()), error.fix()),
        (
            "the certificate chain DIR/missing.pem cannot be read: No such file or directory (os error 2)".to_owned(),
            "correct tls.chain, or put the file there".to_owned()
        )
    );
    let chain = world.file("chain.pem", &world.leaf.pem());
    let error = load(&chain, world.dir.path(), NOW, &[]).unwrap_err();
    let folder = world.dir.path().display();
    assert_eq!(
        error.to_string(),
        format!("the private key {folder} cannot be read: is a directory")
    );
    let denied = CertificateError::Unreadable {
        part: crate::http::certificate::error::Part::Key,
        path: key,
        source: std::io::ErrorKind::PermissionDenied.into(),
    };
    assert_eq!(
        denied.fix(),
        "let the user that Rollcall runs as read the file and enter its folders: chgrp rollcall FILE; chmod 640 FILE"
    );
}

#[test]
fn a_missing_intermediate_is_a_warning() {
    let world = World::new();
    assert_eq!(
        world.warnings(&[&world.leaf]),
        [
            "DIR/chain.pem holds only the server's certificate, issued by \"CN=Example Intermediate\", which is not a root that this machine trusts: if that is an intermediate, append its certificate to DIR/chain.pem, else clients will refuse the connection"
        ]
    );
}

#[test]
fn a_leaf_of_a_trusted_root_needs_no_intermediate() {
    let world = World::new();
    let leaf = params("scim.example", (-1, 90))
        .signed_by(&world.key, &world.root_issuer)
        .unwrap();
    assert_eq!(world.warnings(&[&leaf]), [""; 0]);
}

#[test]
fn a_chain_that_does_not_fit_is_a_warning() {
    let world = World::new();
    let stranger = authority("Example Intermediate")
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap();
    for (chain, expected) in [
        (
            [&world.leaf, &world.root],
            "certificate 1 in DIR/chain.pem was issued by \"CN=Example Intermediate\", and certificate 2 is not its: put the issuer's certificate (the intermediate) after certificate 1",
        ),
        (
            [&world.leaf, &stranger],
            "certificate 2 in DIR/chain.pem has the name of the issuer of certificate 1 but another key: use the issuer's current certificate",
        ),
    ] {
        assert_eq!(world.warnings(&chain), [expected]);
    }
    let old = {
        let mut params = authority("Example Intermediate");
        params.not_after = rcgen::date_time_ymd(2026, 1, 1);
        params
            .signed_by(world.middle_issuer.key(), &world.root_issuer)
            .unwrap()
    };
    assert_eq!(
        world.warnings(&[&world.leaf, &old]),
        [
            "certificate 2 in DIR/chain.pem (\"CN=Example Intermediate\") has expired: replace it by the issuer's current certificate"
        ]
    );
}

#[test]
fn a_certificate_that_clients_will_refuse_is_a_warning() {
    let world = World::new();
    let nameless = {
        let mut params = params("scim.example", (-1, 90));
        params.subject_alt_names.clear();
        params.signed_by(&world.key, &world.middle_issuer).unwrap()
    };
    let ending = params("scim.example", (-1, 20))
        .signed_by(&world.key, &world.middle_issuer)
        .unwrap();
    for (leaf, expected) in [
        (
            nameless,
            "the certificate in DIR/chain.pem names no host (no subjectAltName): clients will refuse it; have it issued anew with the host's name",
        ),
        (
            ending,
            "the certificate in DIR/chain.pem expires in 20 days: renew it",
        ),
    ] {
        assert_eq!(world.warnings(&[&leaf, &world.middle]), [expected]);
    }
    let own = params("scim.example", (-1, 90))
        .self_signed(&world.key)
        .unwrap();
    assert_eq!(
        world.warnings(&[&own]),
        [
            "the certificate in DIR/chain.pem is self-signed: only clients that trust this very certificate will connect"
        ]
    );
}

#[test]
fn a_key_that_everybody_can_read_is_a_warning() {
    let world = World::new();
    let chain = format!("{}{}", world.leaf.pem(), world.middle.pem());
    let chain = world.file("chain.pem", &chain);
    let key = world.file("key.pem", &world.key.serialize_pem());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let (_, summary) = load(&chain, &key, NOW, &[]).unwrap();
    let warnings: Vec<_> = summary.warnings.iter().map(|w| world.shorten(w)).collect();
    assert_eq!(
        warnings,
        ["everybody on this machine can read the private key DIR/key.pem: chmod o= DIR/key.pem"]
    );
}

#[test]
fn a_summary_knows_which_hosts_it_covers() {
    let summary = Summary {
        subject: String::new(),
        issuer: String::new(),
        names: ["scim.example", "*.corp.example", "10.0.0.7", "2001:db8::7"]
            .map(str::to_owned)
            .to_vec(),
        not_before: NOW,
        not_after: NOW,
        fingerprint: String::new(),
        chain_length: 1,
        warnings: Vec::new(),
    };
    for (host, expected) in [
        ("scim.example", true),
        ("SCIM.example", true),
        ("a.scim.example", false),
        ("scim.corp.example", true),
        ("a.b.corp.example", false),
        ("corp.example", false),
        ("10.0.0.7", true),
        ("10.0.0.8", false),
        ("[2001:db8::7]", true),
        ("2001:db8:0::7", true),
        ("", false),
    ] {
        assert_eq!(summary.covers(host), expected, "{host}");
    }
}

#[test]
fn the_roots_of_this_machine_can_be_read() {
    // A machine without such a file has none; one that has it has none that is damaged.
    for root in system_roots() {
        assert!(!root.is_empty());
    }
}
