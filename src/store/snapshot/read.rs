//! Loading a snapshot. Anything that is not as it was written makes it useless, and nothing else.

use std::fs::File;
use std::io;
use std::io::BufReader;
use std::io::Read;
use std::path::Path;

use crate::audit::bytes::BadBytes;
use crate::audit::bytes::Input;
use crate::base::ident::DirectoryId;
use crate::scim::schema::ResourceKind;
use crate::store::cell::Key;
use crate::store::cell::Mark;
use crate::store::header::BadHeader;
use crate::store::log::frame::StoreId;
use crate::store::memory::BadCell;
use crate::store::memory::Memory;
use crate::store::snapshot::FORM;
use crate::store::snapshot::SECTION_BYTES_MAX;
use crate::store::snapshot::Taken;
use crate::store::snapshot::kind;
use crate::store::snapshot::path;

/// Why a snapshot is not used.
#[derive(Debug, thiserror::Error)]
pub enum Useless {
    /// The machine does not give it.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is not what any writer of this format writes.
    #[error("it is damaged")]
    Damaged,
    /// A newer Rollcall wrote it.
    #[error("it has a newer format")]
    Newer,
    /// It belongs to another store.
    #[error("it belongs to another store")]
    Foreign,
}

impl From<BadBytes> for Useless {
    fn from(_bad: BadBytes) -> Self {
        Self::Damaged
    }
}

impl From<BadCell> for Useless {
    fn from(_bad: BadCell) -> Self {
        Self::Damaged
    }
}

/// Loads the snapshot in the store's directory `dir`: memory as it was about then, and what the
/// snapshot says of itself. Nothing when there is none.
///
/// # Errors
///
/// [`Useless`].
pub fn load(dir: &Path, store: StoreId) -> Result<Option<(Memory, Taken)>, Useless> {
    let file = match File::open(path(dir)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let bytes = file.metadata()?.len();
    let mut input = BufReader::with_capacity(1 << 20, file);
    let mut taken = header(&mut input, store)?;
    taken.bytes = bytes;
    let mut memory = Memory::default();
    let mut count = 0_u64;
    loop {
        let section = section(&mut input)?;
        let mut section = Input::new(&section);
        match section.u8()? {
            kind::ROWS => rows(&mut section, &mut memory)?,
            kind::STRETCH => stretch(&mut section, &mut memory)?,
            kind::LABELS => {
                memory.load_labels(DirectoryId(section.u32()?), &mut section)?;
                section.end()?;
            }
            kind::MEMBERS => {
                memory.load_members(DirectoryId(section.u32()?), &mut section)?;
                section.end()?;
            }
            kind::END => {
                taken.end_seq = section.u64()?;
                if section.u64()? != count {
                    return Err(Useless::Damaged);
                }
                section.end()?;
                break;
            }
            _ => return Err(Useless::Damaged),
        }
        count = count.saturating_add(1);
    }
    memory.loaded();
    memory.seq = taken.seq;
    Ok(Some((memory, taken)))
}

/// Reads the header.
fn header(input: &mut impl Read, store: StoreId) -> Result<Taken, Useless> {
    let mut header = [0; FORM.bytes];
    fill(input, &mut header)?;
    let mut header = FORM.decode(&header).map_err(|bad| match bad {
        BadHeader::Newer(_) => Useless::Newer,
        BadHeader::Damaged => Useless::Damaged,
    })?;
    let found = StoreId(header.array()?);
    if found != store {
        return Err(Useless::Foreign);
    }
    let seq = header.u64()?;
    Ok(Taken {
        store,
        seq,
        end_seq: seq,
        at: header.time()?,
        bytes: 0,
    })
}

/// Reads a section, checked.
fn section(input: &mut impl Read) -> Result<Vec<u8>, Useless> {
    let mut head = [0; 8];
    fill(input, &mut head)?;
    let mut head = Input::new(&head);
    let (bytes, crc) = (head.count()?, head.u32()?);
    if bytes > SECTION_BYTES_MAX {
        return Err(Useless::Damaged);
    }
    let mut section = Vec::new();
    // Read as it comes: a damaged length must not make us ask for memory that is not needed.
    let limit = u64::try_from(bytes).unwrap_or(u64::MAX);
    input.take(limit).read_to_end(&mut section)?;
    if section.len() != bytes || crc32fast::hash(&section) != crc {
        return Err(Useless::Damaged);
    }
    Ok(section)
}

/// Fills `to`; a file that ends before is damaged.
fn fill(input: &mut impl Read, to: &mut [u8]) -> Result<(), Useless> {
    input.read_exact(to).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Useless::Damaged
        } else {
            Useless::Io(error)
        }
    })
}

/// Takes in everything that is no resource.
fn rows(input: &mut Input<'_>, memory: &mut Memory) -> Result<(), Useless> {
    memory.born_last = input.u64()?;
    for _row in 0..input.count()? {
        let (key, part) = Key::decode(input.bytes()?).ok_or(BadBytes)?;
        let content = input.bytes()?;
        if part != 0 {
            return Err(Useless::Damaged);
        }
        memory.load(&key, Mark::of(&key, content), content.into())?;
    }
    Ok(input.end()?)
}

/// Takes in some resources.
fn stretch(input: &mut Input<'_>, memory: &mut Memory) -> Result<(), Useless> {
    let directory = DirectoryId(input.u32()?);
    let name = input.text()?;
    let kinds = ResourceKind::ALL;
    let of = kinds.into_iter().find(|of| of.name() == name);
    // Its directory went before the stretch could be taken.
    if !input.rest().is_empty() {
        memory.load_stretch((directory, of.ok_or(BadBytes)?), input)?;
    }
    Ok(input.end()?)
}
