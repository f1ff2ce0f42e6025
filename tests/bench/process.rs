//! What /proc tells of a process: its CPU time and its memory.

use std::fs;

use serde::Serialize;

/// Nanoseconds of a clock tick: Linux counts in hundredths of a second, whatever the kernel's own rate is.
const TICK_NS: u64 = 10_000_000;

/// CPU time of a process in nanoseconds, user and system, all threads.
pub fn cpu_ns(pid: Option<u32>) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid?)).ok()?;
    // The second field is the program's name in parentheses and may hold spaces.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * TICK_NS)
}

/// Memory of a process.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// Resident now, in bytes.
    pub rss_bytes: u64,
    /// Most that was ever resident, in bytes.
    pub peak_bytes: u64,
}

/// Memory of a process.
pub fn memory(pid: Option<u32>) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{}/status", pid?)).ok()?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib << 10)
    };
    Some(Memory {
        rss_bytes: bytes("VmRSS:")?,
        peak_bytes: bytes("VmHWM:")?,
    })
}

/// Lets the most that was ever resident begin anew. Returns whether the system permits it.
pub fn forget_peak(pid: Option<u32>) -> bool {
    pid.is_some_and(|pid| fs::write(format!("/proc/{pid}/clear_refs"), "5").is_ok())
}
