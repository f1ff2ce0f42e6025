//! Listing a folder of the store by what the names in it mean.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

/// What has a name with a meaning in `dir`, in the order of the meanings; nothing when there is no such
/// folder.
///
/// # Errors
///
/// What the machine says.
pub fn list<T: Ord>(
    dir: &Path,
    meaning: impl Fn(&str) -> Option<T>,
) -> io::Result<Vec<(T, PathBuf)>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let meant = name.to_str().and_then(&meaning);
        found.extend(meant.map(|meant| (meant, entry.path())));
    }
    found.sort();
    Ok(found)
}
