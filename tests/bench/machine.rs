//! What was measured, and on what: machine, file system, date, version.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use rollcall::base::clock::Clock;
use rollcall::base::clock::SystemClock;
use serde::Serialize;

use crate::failed::Failed;

/// The machine and the moment.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Model of the processor.
    pub cpu: String,
    /// Processors that this program may use.
    pub cores: usize,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// Type and device of the file system with the state.
    pub file_system: String,
    /// When the run began, UTC.
    pub date: String,
    /// Version of this program, which is Rollcall's.
    pub version: &'static str,
    /// The commit, when the sources are there.
    pub commit: Option<String>,
}

impl Machine {
    /// This machine, with the state in `folder`.
    pub fn here(folder: &Path) -> Result<Self, Failed> {
        let first = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            text.lines()
                .find_map(|line| line.strip_prefix(name))
                .map(|rest| rest.trim_matches([' ', '\t', ':']).to_owned())
        };
        let memory = first("/proc/meminfo", "MemTotal")
            .and_then(|text| text.strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(Self {
            cpu: first("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism()?.get(),
            memory_bytes: memory.unwrap_or(0) << 10,
            kernel: first("/proc/sys/kernel/osrelease", "").unwrap_or_default(),
            file_system: file_system(folder)?,
            date: SystemClock.now().to_string(),
            version: env!("CARGO_PKG_VERSION"),
            commit: commit(),
        })
    }

    /// Whether what is written to the state reaches a disk.
    pub fn is_durable(&self) -> bool {
        !["tmpfs", "ramfs"].iter().any(|kind| {
            self.file_system
                .split(' ')
                .next()
                .is_some_and(|first| first == *kind)
        })
    }
}

/// The commit that the sources are at.
fn commit() -> Option<String> {
    let output = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR")])
        .args(["describe", "--always", "--dirty", "--abbrev=10"])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Type and device of the file system that `folder` is on.
fn file_system(folder: &Path) -> Result<String, Failed> {
    let folder = folder.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let deepest = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (device, place, kind) = (fields.next()?, fields.next()?, fields.next()?);
            folder
                .starts_with(place)
                .then_some((place.len(), kind, device))
        })
        // The later of two mounts on one place hides the earlier.
        .max_by_key(|(depth, _kind, _device)| *depth);
    Ok(match deepest {
        Some((_depth, kind, device)) => format!("{kind} on {device}"),
        None => "unknown".to_owned(),
    })
}

/// Bytes on disk of what is in a state directory.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// File or folder.
    pub name: String,
    /// Bytes that the file system set aside for it.
    pub bytes: u64,
}

/// Bytes on disk of each file and folder in `state`.
pub fn parts(state: &Path) -> Result<Vec<Part>, Failed> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(state)? {
        let entry = entry?;
        let bytes = bytes_on_disk(&entry.path());
        if bytes > 0 {
            let name = entry.file_name().to_string_lossy().into_owned();
            parts.push(Part { name, bytes });
        }
    }
    parts.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(parts)
}

/// Bytes on disk of a file, or of all files in a folder. What disappears meanwhile counts nothing.
fn bytes_on_disk(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return 0;
    };
    if !metadata.is_dir() {
        // st_blocks counts in 512 bytes, whatever the file system's blocks are.
        return metadata.blocks() * 512;
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| bytes_on_disk(&entry.path())).sum()
}
