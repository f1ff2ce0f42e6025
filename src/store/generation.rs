//! Which folder holds the state. A rebuilt state lies beside the one in use and takes its place by
//! one rename of a small file that names the folder; sled writes some of its files by path, so the
//! folders themselves keep their names.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use crate::store::log::segment;

/// Folder of the first state; a later one has its number behind a dot.
const FOLDER: &str = "sled";
/// The file that names the folder in use; without it the first is.
const CURRENT: &str = "sled.current";
/// The same, being written.
const UNFINISHED: &str = "sled.current.tmp";

/// One of the folders that held, hold or will hold the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(u64);

impl Generation {
    /// The first.
    const FIRST: Self = Self(1);

    /// The next.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Its folder's name.
    fn name(self) -> String {
        match self {
            Self::FIRST => FOLDER.to_owned(),
            Self(number) => format!("{FOLDER}.{number}"),
        }
    }

    /// The generation whose folder has this name.
    fn of_name(name: &str) -> Option<Self> {
        if name == FOLDER {
            return Some(Self::FIRST);
        }
        let number = name.strip_prefix(FOLDER)?.strip_prefix('.')?;
        let found = Self(number.parse().ok()?);
        (found > Self::FIRST && found.name() == name).then_some(found)
    }

    /// Whether a folder of this name holds a state, in use or not. The file that says which one is
    /// in use has such a name too, and is none.
    pub fn is_of_state(name: &str) -> bool {
        let rest = name.strip_prefix(FOLDER);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            && !name.starts_with(CURRENT)
    }

    /// Its folder in the store's directory `dir`.
    pub fn folder(self, dir: &Path) -> PathBuf {
        dir.join(self.name())
    }

    /// The one in use in the store's directory `dir`. A file that names none is as good as none:
    /// the log and the base rebuild what is missing then.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn current(dir: &Path) -> io::Result<Self> {
        match fs::read(dir.join(CURRENT)) {
            Ok(text) => {
                let name = String::from_utf8_lossy(&text);
                Ok(Self::of_name(name.trim_end()).unwrap_or(Self::FIRST))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::FIRST),
            Err(error) => Err(error),
        }
    }

    /// Puts it to use. When this returns, that survives power loss.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn put_to_use(self, dir: &Path) -> io::Result<()> {
        let unfinished = dir.join(UNFINISHED);
        let mut file = File::create(&unfinished)?;
        file.write_all(self.name().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&unfinished, dir.join(CURRENT))?;
        segment::sync_dir(dir)
    }

    /// Removes what a rebuild that was interrupted left behind: every folder but this one's.
    /// Returns what was removed.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn remove_others(self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut removed = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let other = name.to_str().and_then(Self::of_name);
            if other.is_some_and(|other| other != self) && entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
                removed.push(entry.path());
            }
        }
        let unfinished = dir.join(UNFINISHED);
        match fs::remove_file(&unfinished) {
            Ok(()) => removed.push(unfinished),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::store::generation::Generation;

    #[test]
    fn the_folder_in_use_changes_with_one_file_and_others_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let first = Generation::current(dir.path()).unwrap();
        assert_eq!(first.folder(dir.path()), dir.path().join("sled"));
        for name in ["sled", "sled.2", "sled.bad.2026-01-01", "log"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        first.next().put_to_use(dir.path()).unwrap();
        let second = Generation::current(dir.path()).unwrap();
        assert_eq!(second.folder(dir.path()), dir.path().join("sled.2"));
        assert_eq!(
            second.remove_others(dir.path()).unwrap(),
            [dir.path().join("sled")]
        );
        assert!(second.remove_others(dir.path()).unwrap().is_empty());
        assert!(dir.path().join("sled.bad.2026-01-01").exists());
    }

    #[test]
    fn a_file_that_names_nothing_means_the_first_folder() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "sled.1", "sled.02", "sled.x", "../sled", "sled.bad.1"] {
            fs::write(dir.path().join("sled.current"), text).unwrap();
            let current = Generation::current(dir.path()).unwrap();
            assert_eq!(current, Generation::FIRST, "{text:?}");
        }
    }
}
