//! How many bytes of the disk each part of the store takes, by the names of its files.

use std::fs;
use std::fs::Metadata;
use std::io;
use std::path::Path;

use crate::store::base;
use crate::store::chronicle::AUDIT;
use crate::store::chronicle::HISTORY;
use crate::store::generation::Generation;
use crate::store::log;
use crate::store::snapshot;
use crate::store::space::RESERVE;

/// Bytes on disk, by part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Parts {
    /// The commit log with its spare segment.
    pub log: u64,
    /// The state in use.
    pub state: u64,
    /// The bases.
    pub base: u64,
    /// The histories of all directories.
    pub history: u64,
    /// The audit.
    pub audit: u64,
    /// The snapshot of the indexes.
    pub snapshot: u64,
    /// The reserve for a full disk.
    pub reserve: u64,
    /// States beside the one in use: being filled, being removed, or set aside by a start.
    pub other_states: u64,
}

/// Measures the parts of the store in `dir`.
///
/// # Errors
///
/// What the machine says.
pub fn measure(dir: &Path) -> io::Result<Parts> {
    let current = Generation::current(dir)?.folder(dir);
    let state = current.file_name().unwrap_or_default();
    let mut parts = Parts::default();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let part = match name.to_str().unwrap_or_default() {
            log::FOLDER => &mut parts.log,
            base::FOLDER => &mut parts.base,
            HISTORY => &mut parts.history,
            AUDIT => &mut parts.audit,
            RESERVE => &mut parts.reserve,
            _ if name == state => &mut parts.state,
            name if name.starts_with(snapshot::FILE) => &mut parts.snapshot,
            name if Generation::is_of_state(name) => &mut parts.other_states,
            _ => continue,
        };
        *part = part.saturating_add(bytes_of(&entry.path())?);
    }
    Ok(parts)
}

/// Bytes of a file, or of all files in a folder. What went meanwhile has none.
fn bytes_of(path: &Path) -> io::Result<u64> {
    let Some(found) = there(fs::symlink_metadata(path))? else {
        return Ok(0);
    };
    if !found.is_dir() {
        return Ok(bytes(&found));
    }
    let mut sum = 0_u64;
    if let Some(entries) = there(fs::read_dir(path))? {
        for entry in entries {
            if let Some(entry) = there(entry)? {
                sum = sum.saturating_add(bytes_of(&entry.path())?);
            }
        }
    }
    Ok(sum)
}

/// Bytes of a file.
fn bytes(found: &Metadata) -> u64 {
    if found.is_file() { found.len() } else { 0 }
}

/// What was found, unless it is not there any more.
fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::store::parts::Parts;
    use crate::store::parts::measure;

    #[test]
    fn each_file_belongs_to_the_part_that_its_name_says() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            ("lock", 0),
            ("log/1.log", 1),
            ("log/spare", 2),
            ("sled.3/db", 4),
            ("sled.3/blobs/1", 8),
            ("sled.2/db", 16),
            ("sled.bad.2026/db", 32),
            ("base/9.base", 64),
            ("history/1/1.history", 128),
            ("history/2/1.history", 256),
            ("audit/1.audit", 512),
            ("index.snapshot", 1024),
            ("index.snapshot.tmp", 2048),
            ("reserve", 4096),
            ("tls/ca.pem", 8192),
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![0; bytes]).unwrap();
        }
        fs::write(dir.path().join("sled.current"), "sled.3\n").unwrap();
        let expected = Parts {
            log: 3,
            state: 12,
            base: 64,
            history: 384,
            audit: 512,
            snapshot: 3072,
            reserve: 4096,
            other_states: 48,
        };
        assert_eq!(measure(dir.path()).unwrap(), expected);
    }
}
