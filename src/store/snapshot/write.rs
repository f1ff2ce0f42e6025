//! Taking a snapshot, in slices, while others write.

use std::fs;
use std::fs::File;
use std::io;
use std::io::BufWriter;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use crate::audit::bytes;
use crate::base::ident::DirectoryId;
use crate::scim::schema::ResourceKind;
use crate::store::log::frame::StoreId;
use crate::store::log::segment;
use crate::store::rows;
use crate::store::snapshot::FORM;
use crate::store::snapshot::Taken;
use crate::store::snapshot::UNFINISHED;
use crate::store::snapshot::kind;
use crate::store::snapshot::path;
use crate::store::view::View;

/// Slots of one stretch: so many are copied while writers wait.
const STRETCH_SLOTS: u32 = 2048;
/// Labels of one section.
const LABELS_MAX: usize = 2048;
/// Memberships of one section.
const MEMBERS_MAX: usize = 4096;

/// A snapshot that is on the disk and not in use yet.
#[derive(Debug)]
pub struct Unused {
    /// The store's directory.
    dir: PathBuf,
    /// What it says of itself.
    pub taken: Taken,
}

/// Takes a snapshot of what is published. It is of use once the state was synced at its end or
/// later.
///
/// # Errors
///
/// What the machine says.
pub fn take(dir: &Path, store: StoreId, view: &View) -> io::Result<Unused> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(dir.join(UNFINISHED))?;
    let mut out = Sections {
        file: BufWriter::with_capacity(1 << 20, file),
        count: 0,
        bytes: 0,
    };
    let at = view.clock().now();
    let (seq, rows, directories) = {
        let memory = view.memory();
        let mut rows = vec![kind::ROWS];
        bytes::put_u64(&mut rows, memory.born_last);
        let mut keys = rows::keys(&memory);
        keys.append(&mut rows::deleted(&memory));
        bytes::put_count(&mut rows, keys.len());
        for key in keys {
            bytes::put_bytes(&mut rows, &key.part(0));
            let content = rows::content(&memory, &key);
            bytes::put_bytes(&mut rows, &content.unwrap_or_default());
        }
        let directories: Vec<_> = memory.directories.keys().copied().collect();
        (memory.seq, rows, directories)
    };
    let mut taken = Taken {
        store,
        seq,
        end_seq: seq,
        at,
        bytes: 0,
    };
    out.write(&header(&taken))?;
    out.section(&rows)?;
    for directory in directories {
        resources(&mut out, view, directory)?;
        labels(&mut out, view, directory)?;
        members(&mut out, view, directory)?;
    }
    taken.end_seq = view.memory().seq;
    let mut end = vec![kind::END];
    bytes::put_u64(&mut end, taken.end_seq);
    bytes::put_u64(&mut end, out.count);
    out.section(&end)?;
    let file = out
        .file
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    taken.bytes = out.bytes;
    Ok(Unused {
        dir: dir.to_owned(),
        taken,
    })
}

/// Writes what is known of the resources of a directory.
fn resources(out: &mut Sections, view: &View, directory: DirectoryId) -> io::Result<()> {
    for of in ResourceKind::ALL {
        let mut next = Some(0);
        while let Some(from) = next {
            let mut stretch = vec![kind::STRETCH];
            bytes::put_u32(&mut stretch, directory.0);
            bytes::put_text(&mut stretch, of.name());
            next = {
                let memory = view.memory();
                // Deleted meanwhile: the log tells.
                let found = memory.directories.get(&directory);
                found.and_then(|found| {
                    let indexes = &found.shelf(of).indexes;
                    indexes.encode(from, STRETCH_SLOTS, &mut stretch)
                })
            };
            out.section(&stretch)?;
        }
    }
    Ok(())
}

/// Writes what the groups of a directory are called.
fn labels(out: &mut Sections, view: &View, directory: DirectoryId) -> io::Result<()> {
    let mut after = None;
    loop {
        let mut section = vec![kind::LABELS];
        bytes::put_u32(&mut section, directory.0);
        let last = {
            let memory = view.memory();
            // Deleted meanwhile: the log tells.
            let Some(found) = memory.directories.get(&directory) else {
                return Ok(());
            };
            let groups = &found.shelf(ResourceKind::Group).indexes;
            let ids = groups.ids_after(after, LABELS_MAX);
            let labels = ids
                .iter()
                .filter_map(|id| Some((id, found.labels.get(id)?)));
            let labels: Vec<_> = labels.collect();
            bytes::put_count(&mut section, labels.len());
            for (id, label) in labels {
                section.extend_from_slice(id.as_bytes());
                bytes::put_text(&mut section, label);
            }
            ids.last().copied()
        };
        if last.is_none() {
            return Ok(());
        }
        after = last;
        out.section(&section)?;
    }
}

/// Writes who is in the groups of a directory.
fn members(out: &mut Sections, view: &View, directory: DirectoryId) -> io::Result<()> {
    let mut after = None;
    loop {
        let mut section = vec![kind::MEMBERS];
        bytes::put_u32(&mut section, directory.0);
        let pairs = {
            let memory = view.memory();
            let Some(found) = memory.directories.get(&directory) else {
                return Ok(());
            };
            found.edges.after(found.ends(), after, MEMBERS_MAX)
        };
        let groups = pairs.chunk_by(|(one, _), (other, _)| one == other);
        bytes::put_count(&mut section, groups.count());
        for pairs in pairs.chunk_by(|(one, _), (other, _)| one == other) {
            for (group, _member) in pairs.iter().take(1) {
                section.extend_from_slice(group.as_bytes());
            }
            bytes::put_count(&mut section, pairs.len());
            for (_group, member) in pairs {
                section.extend_from_slice(member.as_bytes());
            }
        }
        if pairs.is_empty() {
            return Ok(());
        }
        after = pairs.last().copied();
        out.section(&section)?;
    }
}

impl Unused {
    /// Puts it to use. The caller has seen that the state was synced at its end or later.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn put_to_use(self) -> io::Result<Taken> {
        fs::rename(self.dir.join(UNFINISHED), path(&self.dir))?;
        segment::sync_dir(&self.dir)?;
        Ok(self.taken)
    }
}

/// The header of a snapshot.
fn header(taken: &Taken) -> Vec<u8> {
    let mut fields = Vec::new();
    fields.extend_from_slice(&taken.store.0);
    bytes::put_u64(&mut fields, taken.seq);
    bytes::put_time(&mut fields, taken.at);
    FORM.encode(&fields)
}

/// Sections being written.
struct Sections {
    /// Where to.
    file: BufWriter<File>,
    /// How many there are.
    count: u64,
    /// Bytes written.
    bytes: u64,
}

impl Sections {
    /// Writes bytes.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.file.write_all(bytes)
    }

    /// Writes a section.
    fn section(&mut self, section: &[u8]) -> io::Result<()> {
        let mut head = Vec::with_capacity(8);
        bytes::put_count(&mut head, section.len());
        bytes::put_u32(&mut head, crc32fast::hash(section));
        self.count = self.count.saturating_add(1);
        self.write(&head)?;
        self.write(section)
    }
}
