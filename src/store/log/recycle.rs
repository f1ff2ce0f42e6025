//! Giving room back: segments of the log that a base and a synced state cover.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::store::log::segment;

/// The segments in `dir` by their names: first transaction and file, in order.
fn segments(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if let Some(first_seq) = name.to_str().and_then(segment::first_seq_of) {
            found.push((first_seq, entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The first transaction of the first segment in `dir`.
///
/// # Errors
///
/// What the machine says.
pub fn first_seq(dir: &Path) -> io::Result<Option<u64>> {
    let segments = segments(dir)?;
    Ok(segments.first().map(|(first_seq, _path)| *first_seq))
}

/// Bytes of the segments in `dir` that hold transactions after `seq`.
///
/// # Errors
///
/// What the machine says.
pub fn bytes_after(dir: &Path, seq: u64) -> io::Result<u64> {
    let segments = segments(dir)?;
    let ends = segments
        .iter()
        .skip(1)
        .map(|(first_seq, _path)| Some(*first_seq));
    let mut bytes = 0_u64;
    for ((_first_seq, path), next) in segments.iter().zip(ends.chain([None])) {
        if next.is_none_or(|next| next > seq.saturating_add(1)) {
            bytes = bytes.saturating_add(fs::metadata(path)?.len());
        }
    }
    Ok(bytes)
}

/// Removes the segments in `dir` that hold no transaction after `seq`; never the last one. Returns
/// their bytes.
///
/// # Errors
///
/// What the machine says; what was removed before stays removed.
pub fn remove_through(dir: &Path, seq: u64) -> io::Result<u64> {
    let segments = segments(dir)?;
    let mut bytes = 0_u64;
    for ((_first_seq, path), (next, _)) in segments.iter().zip(segments.iter().skip(1)) {
        if *next > seq.saturating_add(1) {
            break;
        }
        // Oldest first: a crash in between leaves a shorter log, never one with a gap.
        bytes = bytes.saturating_add(fs::metadata(path)?.len());
        fs::remove_file(path)?;
    }
    if bytes > 0 {
        segment::sync_dir(dir)?;
    }
    Ok(bytes)
}
