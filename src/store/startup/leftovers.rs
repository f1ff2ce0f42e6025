//! What an interrupted process leaves behind, and what sled stumbles over.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::store::folder;

/// The files in `dir` whose name fits; none when there is no such directory.
fn files(dir: &Path, fits: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let found = folder::list(dir, |name| fits(name).then(|| name.to_owned()))?;
    Ok(found.into_iter().map(|(_name, path)| path).collect())
}

/// Removes what an interrupted sled leaves behind and then stumbles over: it takes the half-written
/// `snap.*.generating` for its newest snapshot, and an empty `conf` for a damaged one. Returns what
/// was removed.
///
/// # Errors
///
/// What the machine says.
pub fn of_sled(state: &Path) -> io::Result<Vec<PathBuf>> {
    let mut leftovers = files(state, |name| {
        name.starts_with("snap.") && name.ends_with(".generating")
    })?;
    for conf in files(state, |name| name == "conf")? {
        if fs::metadata(&conf)?.len() == 0 {
            leftovers.push(conf);
        }
    }
    for file in &leftovers {
        fs::remove_file(file)?;
    }
    Ok(leftovers)
}

/// Removes sled's snapshots: it then reads its whole log. Returns how many there were.
///
/// # Errors
///
/// What the machine says.
pub fn snapshots_of_sled(state: &Path) -> io::Result<usize> {
    let snapshots = files(state, |name| name.starts_with("snap."))?;
    for file in &snapshots {
        fs::remove_file(file)?;
    }
    Ok(snapshots.len())
}
