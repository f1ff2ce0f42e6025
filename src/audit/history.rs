//! History: the gap-free, numbered changes of one directory.
//!
//! The bytes of an entry are its header, then its payload behind a length, so that the chain covers
//! the header and a salted hash of the payload (an erased payload leaves a chain that still
//! verifies).

use crate::audit::bytes;
use crate::audit::bytes::BadBytes;
use crate::audit::bytes::Input;
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::ident::DirectoryId;
use crate::base::ident::RequestId;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;

/// Version of the bytes of a [`HistoryEntry`].
const VERSION: u8 = 2;
/// Before it entries did not name the previous one.
const WITHOUT_PREVIOUS: u8 = 1;

/// What was done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It came into being.
    Created,
    /// It was changed.
    Updated,
    /// It was deleted.
    Deleted,
}

impl Action {
    /// The action's number in the bytes of an entry.
    const fn tag(self) -> u8 {
        match self {
            Self::Created => 1,
            Self::Updated => 2,
            Self::Deleted => 3,
        }
    }

    /// The action of that number.
    const fn of_tag(tag: u8) -> Result<Self, BadBytes> {
        match tag {
            1 => Ok(Self::Created),
            2 => Ok(Self::Updated),
            3 => Ok(Self::Deleted),
            _ => Err(BadBytes),
        }
    }
}

/// One change of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Counts the directory's entries from 1 without a gap.
    pub number: u64,
    /// Number of the resource's entry before this one; 0 for its first.
    pub previous: u64,
    /// When it was committed.
    pub at: Timestamp,
    /// The directory.
    pub directory: DirectoryId,
    /// Name of the resource's type: `User`, `Group`.
    pub kind: Box<str>,
    /// The resource.
    pub id: ResourceId,
    /// What was done.
    pub action: Action,
    /// The resource's revision after it; a deletion counts as one.
    pub revision: Revision,
    /// Who did it.
    pub actor: Actor,
    /// The request that did it, when one did.
    pub request: Option<RequestId>,
    /// JSON: the changed attributes, old and new.
    pub payload: Box<[u8]>,
}

impl HistoryEntry {
    /// Appends the entry: header, then payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_header(out);
        bytes::put_bytes(out, &self.payload);
    }

    /// Appends all but the payload.
    pub fn encode_header(&self, out: &mut Vec<u8>) {
        bytes::put_u8(out, VERSION);
        bytes::put_u64(out, self.number);
        bytes::put_u64(out, self.previous);
        bytes::put_time(out, self.at);
        bytes::put_u32(out, self.directory.0);
        bytes::put_text(out, &self.kind);
        out.extend_from_slice(self.id.as_bytes());
        bytes::put_u8(out, self.action.tag());
        bytes::put_u64(out, self.revision.0);
        bytes::put_actor(out, &self.actor);
        bytes::put_u8(out, u8::from(self.request.is_some()));
        if let Some(request) = self.request {
            out.extend_from_slice(&request.to_bytes());
        }
    }

    /// Reads what [`HistoryEntry::encode`] wrote.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when the bytes are not an entry of a known version.
    pub fn decode(input: &mut Input<'_>) -> Result<Self, BadBytes> {
        let mut entry = Self::decode_header(input)?;
        entry.payload = input.bytes()?.into();
        Ok(entry)
    }

    /// Reads what [`HistoryEntry::encode_header`] wrote. The payload is left empty.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when the bytes are not a header of a known version.
    pub fn decode_header(input: &mut Input<'_>) -> Result<Self, BadBytes> {
        let version = input.u8()?;
        if version != VERSION && version != WITHOUT_PREVIOUS {
            return Err(BadBytes);
        }
        Ok(Self {
            number: input.u64()?,
            previous: if version == WITHOUT_PREVIOUS {
                0
            } else {
                input.u64()?
            },
            at: input.time()?,
            directory: DirectoryId(input.u32()?),
            kind: input.text()?.into(),
            id: ResourceId::from_bytes(input.array()?),
            action: Action::of_tag(input.u8()?)?,
            revision: Revision(input.u64()?),
            actor: input.actor()?,
            request: if input.flag()? {
                Some(RequestId::from_bytes(input.array()?))
            } else {
                None
            },
            payload: Box::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::audit::bytes::Input;
    use crate::audit::history::Action;
    use crate::audit::history::HistoryEntry;
    use crate::audit::history::WITHOUT_PREVIOUS;
    use crate::base::actor::Actor;
    use crate::base::clock::Timestamp;
    use crate::base::ident::CountedIds;
    use crate::base::ident::DirectoryId;
    use crate::base::ident::IdSource;
    use crate::base::ident::RequestId;
    use crate::base::ident::Revision;
    use crate::base::ident::TokenId;

    /// An entry with every part filled in.
    fn entry(action: Action, actor: Actor, request: Option<RequestId>) -> HistoryEntry {
        HistoryEntry {
            number: 7,
            previous: 5,
            at: Timestamp::from_millis(-1),
            directory: DirectoryId(3),
            kind: "User".into(),
            id: CountedIds::default().resource_id(),
            action,
            revision: Revision(9),
            actor,
            request,
            payload: b"{\"active\":[true,false]}".as_slice().into(),
        }
    }

    #[test]
    fn an_entry_from_before_there_was_a_previous_one_is_read() {
        let entry = entry(Action::Updated, Actor::System, None);
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        bytes[0] = WITHOUT_PREVIOUS;
        bytes.drain(9..17);
        let older = HistoryEntry {
            previous: 0,
            ..entry
        };
        assert_eq!(HistoryEntry::decode(&mut Input::new(&bytes)), Ok(older));
    }

    #[test]
    fn an_entry_is_read_back_and_no_shorter_text_is() {
        let ids = CountedIds::default();
        let operator = |root| Actor::Operator {
            root,
            stated_name: "Märta".into(),
        };
        for entry in [
            entry(Action::Created, Actor::Token(TokenId::random(&ids)), None),
            entry(
                Action::Updated,
                operator(true),
                Some(RequestId::random(&ids)),
            ),
            entry(Action::Deleted, operator(false), None),
            entry(Action::Deleted, Actor::System, None),
        ] {
            let mut bytes = Vec::new();
            entry.encode(&mut bytes);
            let mut input = Input::new(&bytes);
            assert_eq!(HistoryEntry::decode(&mut input).as_ref(), Ok(&entry));
            assert_eq!(input.end(), Ok(()));
            for short in 0..bytes.len() {
                let cut = HistoryEntry::decode(&mut Input::new(&bytes[..short]));
                assert!(cut.is_err(), "{short}");
            }
        }
    }
}
