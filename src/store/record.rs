//! A resource as it is stored: a header with all that indexes need, then its JSON as it came. No
//! JSON is parsed here. The same bytes are in the commit log and in the state.

use std::sync::Arc;

use crate::audit::bytes;
use crate::audit::bytes::BadBytes;
use crate::audit::bytes::Input;
use crate::base::clock::Timestamp;
use crate::base::ident::Revision;
use crate::store::change::Index;
use crate::store::change::NewRecord;

/// Version of the bytes of a stored resource.
const VERSION: u8 = 3;
/// Before it there was no label.
const WITHOUT_LABEL: u8 = 2;
/// Before that there was no history number.
const WITHOUT_HISTORY: u8 = 1;
/// Most bytes of a stored resource, header included. Above what any limit of the protocol admits.
pub(in crate::store) const RECORD_BYTES_MAX: usize = 16 << 20;
/// Most bytes of one index key.
pub const KEY_BYTES_MAX: usize = 64 << 10;
/// Most index keys of one resource.
pub const KEYS_MAX: usize = 10_000;

/// A resource as readers get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its revision.
    pub revision: Revision,
    /// `meta.created`.
    pub created: Timestamp,
    /// `meta.lastModified`.
    pub modified: Timestamp,
    /// JSON, as `scim::resource` stored it.
    pub body: Box<[u8]>,
    /// Checksum of the stored bytes, to compare with the one in memory.
    pub(in crate::store) crc: u32,
}

/// The header of a stored resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Header {
    /// The resource's revision.
    pub revision: Revision,
    /// `meta.created`.
    pub created: Timestamp,
    /// `meta.lastModified`.
    pub modified: Timestamp,
    /// Counts the resources of the appliance in the order of their creation.
    pub born: u64,
    /// Number of the history entry that wrote it; 0 when none did.
    pub history: u64,
    /// What the resource can be found by.
    pub keys: Vec<(Index, Arc<str>)>,
    /// What others call it, when they do: memory keeps it.
    pub label: Option<Arc<str>>,
}

/// The bytes of a stored resource, and what its header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Stored {
    /// Header and body.
    pub content: Arc<[u8]>,
    /// The header, read.
    pub header: Header,
    /// Where the body begins.
    body_at: usize,
}

impl Stored {
    /// The bytes of `record`, or nothing when it is larger than the store takes.
    pub fn new(record: &NewRecord, born: u64, history: u64) -> Option<Self> {
        let keys = &record.keys;
        let label = record.label.as_deref().map_or(0, str::len);
        if keys.len() > KEYS_MAX
            || keys.iter().any(|(_index, key)| key.len() > KEY_BYTES_MAX)
            || label > KEY_BYTES_MAX
        {
            return None;
        }
        let header = Header {
            revision: record.revision,
            created: record.created,
            modified: record.modified,
            born,
            history,
            keys: keys
                .iter()
                .map(|(index, key)| (*index, Arc::from(&**key)))
                .collect(),
            label: record.label.as_deref().map(Arc::from),
        };
        let mut content = Vec::with_capacity(record.body.len().saturating_add(256));
        header.encode(&mut content);
        let body_at = content.len();
        content.extend_from_slice(&record.body);
        (content.len() <= RECORD_BYTES_MAX).then(|| Self {
            content: content.into(),
            header,
            body_at,
        })
    }

    /// Reads what [`Stored::new`] wrote.
    pub fn decode(content: Arc<[u8]>) -> Result<Self, BadBytes> {
        let mut input = Input::new(&content);
        let header = Header::decode(&mut input)?;
        let body_at = content
            .len()
            .checked_sub(input.rest().len())
            .ok_or(BadBytes)?;
        Ok(Self {
            content,
            header,
            body_at,
        })
    }

    /// The JSON.
    pub fn body(&self) -> &[u8] {
        self.content.get(self.body_at..).unwrap_or_default()
    }

    /// The record for readers; `crc` is the checksum of the content.
    pub fn record(&self, crc: u32) -> Record {
        Record {
            revision: self.header.revision,
            created: self.header.created,
            modified: self.header.modified,
            body: self.body().into(),
            crc,
        }
    }
}

impl Record {
    /// Reads what [`Stored::new`] wrote, for a reader: `crc` is its checksum. Keys are passed over.
    pub(in crate::store) fn decode(content: &[u8], crc: u32) -> Result<Self, BadBytes> {
        let mut input = Input::new(content);
        let version = Header::version(&mut input)?;
        let revision = Revision(input.u64()?);
        let (created, modified) = (input.time()?, input.time()?);
        let _born = input.u64()?;
        if version != WITHOUT_HISTORY {
            let _history = input.u64()?;
        }
        for _key in 0..input.count()? {
            let _tag = input.u8()?;
            let _text = input.bytes()?;
        }
        if version == VERSION {
            let _label = input.bytes()?;
        }
        Ok(Self {
            revision,
            created,
            modified,
            body: input.rest().into(),
            crc,
        })
    }
}

impl Header {
    /// Reads the version, which must be known.
    fn version(input: &mut Input<'_>) -> Result<u8, BadBytes> {
        let version = input.u8()?;
        let known = [VERSION, WITHOUT_LABEL, WITHOUT_HISTORY].contains(&version);
        if known { Ok(version) } else { Err(BadBytes) }
    }

    /// Appends the header.
    fn encode(&self, out: &mut Vec<u8>) {
        bytes::put_u8(out, VERSION);
        bytes::put_u64(out, self.revision.0);
        bytes::put_time(out, self.created);
        bytes::put_time(out, self.modified);
        bytes::put_u64(out, self.born);
        bytes::put_u64(out, self.history);
        bytes::put_count(out, self.keys.len());
        for (index, key) in &self.keys {
            bytes::put_u8(out, index.tag());
            bytes::put_text(out, key);
        }
        // No text is no label: nobody calls anything so.
        bytes::put_text(out, self.label.as_deref().unwrap_or_default());
    }

    /// Reads what [`Header::encode`] wrote.
    fn decode(input: &mut Input<'_>) -> Result<Self, BadBytes> {
        let version = Self::version(input)?;
        let revision = Revision(input.u64()?);
        let created = input.time()?;
        let modified = input.time()?;
        let born = input.u64()?;
        let history = if version == WITHOUT_HISTORY {
            0
        } else {
            input.u64()?
        };
        let count = input.count()?;
        if count > KEYS_MAX {
            return Err(BadBytes);
        }
        let keys = (0..count)
            .map(|_nth| {
                let index = Index::of_tag(input.u8()?).ok_or(BadBytes)?;
                Ok((index, Arc::from(input.text()?)))
            })
            .collect::<Result<_, BadBytes>>()?;
        let label = if version == VERSION {
            Some(input.text()?).filter(|label| !label.is_empty())
        } else {
            None
        };
        Ok(Self {
            label: label.map(Arc::from),
            revision,
            created,
            modified,
            born,
            history,
            keys,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::base::clock::Timestamp;
    use crate::base::ident::Revision;
    use crate::store::change::Index;
    use crate::store::change::NewRecord;
    use crate::store::record::KEY_BYTES_MAX;
    use crate::store::record::RECORD_BYTES_MAX;
    use crate::store::record::Record;
    use crate::store::record::Stored;
    use crate::store::record::WITHOUT_HISTORY;

    /// A record with this key and body.
    fn record(key: &str, body: &[u8]) -> NewRecord {
        NewRecord {
            revision: Revision(4),
            created: Timestamp::from_millis(1),
            modified: Timestamp::from_millis(2),
            keys: vec![(Index::UserName, key.into()), (Index::Email, "".into())],
            unique: vec![Index::UserName],
            label: None,
            body: body.into(),
        }
    }

    #[test]
    fn a_record_is_read_back() {
        for body in [b"".as_slice(), b"{}", &[b'x'; 100_000]] {
            let stored = Stored::new(&record("mara", body), 9, 8).unwrap();
            assert_eq!(
                Stored::decode(Arc::clone(&stored.content)).as_ref(),
                Ok(&stored)
            );
            assert_eq!(Record::decode(&stored.content, 5), Ok(stored.record(5)));
            assert_eq!(
                stored.record(5),
                Record {
                    revision: Revision(4),
                    created: Timestamp::from_millis(1),
                    modified: Timestamp::from_millis(2),
                    body: body.into(),
                    crc: 5,
                }
            );
        }
    }

    #[test]
    fn a_record_from_before_there_was_a_history_number_or_a_label_is_read() {
        let stored = Stored::new(&record("mara", b"{}"), 9, 8).unwrap();
        let mut older = stored.content.to_vec();
        older[0] = WITHOUT_HISTORY;
        // Version, revision, two times and the birth come before it.
        older.drain(33..41);
        // The label, of which there is none, comes last before the body.
        let label = older.len() - 2 - 4..older.len() - 2;
        older.drain(label);
        let read = Stored::decode(older.into()).unwrap();
        assert_eq!((read.header.born, read.header.history), (9, 0));
        assert_eq!(read.header.keys, stored.header.keys);
        assert_eq!(read.record(5), stored.record(5));
    }

    #[test]
    fn a_cut_header_is_refused() {
        let stored = Stored::new(&record("mara", b""), 9, 8).unwrap();
        for short in 0..stored.content.len() {
            let cut = Stored::decode(stored.content[..short].into());
            assert!(cut.is_err(), "{short}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let long_key = "k".repeat(KEY_BYTES_MAX + 1);
        let long_body = vec![b' '; RECORD_BYTES_MAX];
        assert_eq!(Stored::new(&record(&long_key, b"{}"), 1, 0), None);
        assert_eq!(Stored::new(&record("k", &long_body), 1, 0), None);
    }
}
