//! Room on the disk: the marks below which health warns and writes are refused, and the reserve
//! that keeps a start possible on a full disk (the engine needs room even to open).

use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::FallocateFlags;

use crate::store::Settings;

/// Name of the reserve.
pub const RESERVE: &str = "reserve";

/// Free bytes on the file system of `path`, for this user.
///
/// # Errors
///
/// What the machine says.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// How much room there is, measured against the marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Enough.
    Enough,
    /// Below the soft mark.
    Low,
    /// Below the hard mark: no writes.
    Full,
}

/// The marks and the reserve of one store.
#[derive(Clone, Debug)]
pub struct Space {
    /// The reserve.
    reserve: PathBuf,
    /// Its size; 0 for none.
    reserve_bytes: u64,
    /// The soft mark.
    soft_bytes: u64,
    /// The hard mark.
    hard_bytes: u64,
}

impl Space {
    /// The marks that `settings` name.
    pub fn new(settings: &Settings) -> Self {
        Self {
            reserve: settings.dir.join(RESERVE),
            reserve_bytes: settings.reserve_bytes,
            soft_bytes: settings.free_soft_bytes.max(settings.free_hard_bytes),
            hard_bytes: settings.free_hard_bytes,
        }
    }

    /// What `free_bytes` mean.
    pub const fn room(&self, free_bytes: u64) -> Room {
        if free_bytes < self.hard_bytes {
            Room::Full
        } else if free_bytes < self.soft_bytes {
            Room::Low
        } else {
            Room::Enough
        }
    }

    /// Gives the reserve up when the disk is full. Returns the bytes gained.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn release_reserve(&self, free_bytes: u64) -> io::Result<Option<u64>> {
        if self.room(free_bytes) != Room::Full {
            return Ok(None);
        }
        match fs::metadata(&self.reserve) {
            Ok(found) => {
                fs::remove_file(&self.reserve)?;
                Ok(Some(found.len()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the reserve, when it is missing and there is room for it above the soft mark.
    ///
    /// # Errors
    ///
    /// What the machine says. The reserve is a help, not a need: going on without it is right.
    pub fn keep_reserve(&self, free_bytes: u64) -> io::Result<()> {
        let room = free_bytes.saturating_sub(self.soft_bytes) > self.reserve_bytes;
        if self.reserve_bytes == 0 || !room || self.reserve.exists() {
            return Ok(());
        }
        let file = File::create_new(&self.reserve)?;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, self.reserve_bytes)
            .map_err(io::Error::from)
            .inspect_err(|_error| {
                // An empty reserve would pass for one; that it cannot be removed changes nothing.
                drop(fs::remove_file(&self.reserve));
            })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use crate::store::Settings;
    use crate::store::chronicle::Retention;
    use crate::store::space::Room;
    use crate::store::space::Space;

    /// Marks at 10 and 20 bytes and a reserve of 8192 in a new directory.
    fn space() -> (tempfile::TempDir, Space) {
        let dir = tempfile::tempdir().unwrap();
        let space = Space::new(&Settings {
            dir: dir.path().to_owned(),
            segment_bytes: 0,
            reserve_bytes: 8192,
            free_soft_bytes: 20,
            free_hard_bytes: 10,
            cache_bytes: 0,
            base_log_bytes: 0,
            retention: Retention {
                history: Duration::ZERO,
                audit: Duration::ZERO,
            },
        });
        (dir, space)
    }

    #[test]
    fn room_is_measured_against_the_marks() {
        let (_dir, space) = space();
        for (free, room) in [
            (0, Room::Full),
            (9, Room::Full),
            (10, Room::Low),
            (19, Room::Low),
            (20, Room::Enough),
        ] {
            assert_eq!(space.room(free), room, "{free}");
        }
    }

    #[test]
    fn the_reserve_is_made_with_room_and_given_up_without() {
        let (dir, space) = space();
        let reserve = dir.path().join("reserve");
        space.keep_reserve(8192).unwrap();
        assert!(!reserve.exists(), "no room for it");
        space.keep_reserve(1 << 20).unwrap();
        assert_eq!(fs::metadata(&reserve).unwrap().len(), 8192);
        assert_eq!(space.release_reserve(10).unwrap(), None);
        assert_eq!(space.release_reserve(9).unwrap(), Some(8192));
        assert_eq!(space.release_reserve(9).unwrap(), None);
        assert!(!reserve.exists());
    }
}
