//! What an interrupted process leaves behind, and what sled stumbles over.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

/// The files in `dir` whose name fits; none when there is no such directory.
fn files(dir: &Path, fits: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&fits) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
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
