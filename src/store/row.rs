//! Rows that live in memory: directories, tokens and what is left of deleted resources, and their
//! bytes on disk.

use crate::audit::bytes;
use crate::audit::bytes::BadBytes;
use crate::audit::bytes::Input;
use crate::base::clock::Timestamp;
use crate::base::ident::DirectoryId;
use crate::base::ident::DirectoryName;
use crate::base::ident::Revision;
use crate::base::ident::TokenId;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::store::change::Index;

/// Version of the bytes of a row.
const VERSION: u8 = 1;

/// Begins to read a row, which must be of that version.
fn begin(row: &[u8]) -> Result<Input<'_>, BadBytes> {
    let mut input = Input::new(row);
    if input.u8()? == VERSION {
        Ok(input)
    } else {
        Err(BadBytes)
    }
}

/// A directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryRow {
    /// Its number; 0 before it is created.
    pub id: DirectoryId,
    /// Its name.
    pub name: DirectoryName,
    /// How forgiving it is.
    pub profile: Profile,
    /// Whether it holds no groups.
    pub users_only: bool,
    /// Whether it answers.
    pub enabled: bool,
    /// When it was created.
    pub created: Timestamp,
    /// Its revision.
    pub revision: Revision,
}

impl DirectoryRow {
    /// The row's bytes.
    pub(in crate::store) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        bytes::put_u8(&mut out, VERSION);
        bytes::put_u32(&mut out, self.id.0);
        bytes::put_text(&mut out, self.name.as_str());
        bytes::put_text(&mut out, self.profile.name());
        bytes::put_u8(&mut out, u8::from(self.users_only));
        bytes::put_u8(&mut out, u8::from(self.enabled));
        bytes::put_time(&mut out, self.created);
        bytes::put_u64(&mut out, self.revision.0);
        out
    }

    /// Reads what [`DirectoryRow::encode`] wrote.
    pub(in crate::store) fn decode(row: &[u8]) -> Result<Self, BadBytes> {
        let mut input = begin(row)?;
        let row = Self {
            id: DirectoryId(input.u32()?),
            name: DirectoryName::parse(input.text()?).map_err(|_bad_name| BadBytes)?,
            profile: Profile::parse(input.text()?).ok_or(BadBytes)?,
            users_only: input.flag()?,
            enabled: input.flag()?,
            created: input.time()?,
            revision: Revision(input.u64()?),
        };
        input.end()?;
        Ok(row)
    }
}

/// Appends a resource's kind.
pub(in crate::store) fn put_kind(out: &mut Vec<u8>, kind: ResourceKind) {
    let tag = match kind {
        ResourceKind::User => 1,
        ResourceKind::Group => 2,
    };
    bytes::put_u8(out, tag);
}

/// Reads what [`put_kind`] wrote.
pub(in crate::store) fn kind(input: &mut Input<'_>) -> Result<ResourceKind, BadBytes> {
    match input.u8()? {
        1 => Ok(ResourceKind::User),
        2 => Ok(ResourceKind::Group),
        _ => Err(BadBytes),
    }
}

/// What is left of a deleted resource until nobody can restore it any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedRow {
    /// What it was.
    pub kind: ResourceKind,
    /// When it was deleted.
    pub at: Timestamp,
    /// Its revision since then.
    pub revision: Revision,
    /// The history entry that tells of it and holds what it was; 0 when there is none.
    pub history: u64,
    /// What it was called, as indexes want it: by this one who comes again is known.
    pub names: Vec<(Index, Box<str>)>,
}

impl DeletedRow {
    /// The row's bytes.
    pub(in crate::store) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        bytes::put_u8(&mut out, VERSION);
        put_kind(&mut out, self.kind);
        bytes::put_time(&mut out, self.at);
        bytes::put_u64(&mut out, self.revision.0);
        bytes::put_u64(&mut out, self.history);
        bytes::put_count(&mut out, self.names.len());
        for (index, name) in &self.names {
            bytes::put_u8(&mut out, index.tag());
            bytes::put_text(&mut out, name);
        }
        out
    }

    /// Reads what [`DeletedRow::encode`] wrote.
    pub(in crate::store) fn decode(row: &[u8]) -> Result<Self, BadBytes> {
        let mut input = begin(row)?;
        let row = Self {
            kind: kind(&mut input)?,
            at: input.time()?,
            revision: Revision(input.u64()?),
            history: input.u64()?,
            names: (0..input.count()?)
                .map(|_nth| {
                    let index = Index::of_tag(input.u8()?).ok_or(BadBytes)?;
                    Ok((index, input.text()?.into()))
                })
                .collect::<Result<_, BadBytes>>()?,
        };
        input.end()?;
        Ok(row)
    }
}

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Reading and writing one directory.
    Provision,
    /// Reading one directory.
    Read,
    /// Asking how the appliance is.
    Health,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Provision, Self::Read, Self::Health];

    /// The scope's name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Read => "read",
            Self::Health => "health",
        }
    }

    /// The scope of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == text)
    }
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its public part.
    pub id: TokenId,
    /// Its directory; none for the appliance's own.
    pub directory: Option<DirectoryId>,
    /// What it is good for.
    pub scope: Scope,
    /// What the operator calls it.
    pub label: String,
    /// argon2id hash of the secret, PHC form.
    pub hash: String,
    /// 24 bits of a keyed digest of the secret.
    pub digest: [u8; 3],
    /// When it was made.
    pub created: Timestamp,
    /// When it stops working.
    pub expires: Option<Timestamp>,
    /// When a reminder to rotate it begins.
    pub rotate_by: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// When and from which address it was last used; written lazily.
    pub last_used: Option<(Timestamp, String)>,
    /// Its revision.
    pub revision: Revision,
}

impl TokenRow {
    /// The row's bytes.
    pub(in crate::store) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        bytes::put_u8(&mut out, VERSION);
        bytes::put_text(&mut out, self.id.as_str());
        bytes::put_u32(&mut out, self.directory.map_or(0, |directory| directory.0));
        bytes::put_text(&mut out, self.scope.name());
        bytes::put_text(&mut out, &self.label);
        bytes::put_text(&mut out, &self.hash);
        out.extend_from_slice(&self.digest);
        bytes::put_time(&mut out, self.created);
        bytes::put_time_option(&mut out, self.expires);
        bytes::put_time_option(&mut out, self.rotate_by);
        bytes::put_time_option(&mut out, self.revoked);
        bytes::put_time_option(&mut out, self.last_used.as_ref().map(|(at, _from)| *at));
        bytes::put_text(
            &mut out,
            self.last_used.as_ref().map_or("", |(_at, from)| from),
        );
        bytes::put_u64(&mut out, self.revision.0);
        out
    }

    /// Reads what [`TokenRow::encode`] wrote.
    pub(in crate::store) fn decode(row: &[u8]) -> Result<Self, BadBytes> {
        let mut input = begin(row)?;
        let id = TokenId::parse(input.text()?).ok_or(BadBytes)?;
        let directory = Some(input.u32()?).filter(|id| *id != 0).map(DirectoryId);
        let scope = Scope::parse(input.text()?).ok_or(BadBytes)?;
        let (label, hash) = (input.text()?.to_owned(), input.text()?.to_owned());
        let digest = input.array()?;
        let created = input.time()?;
        let expires = input.time_option()?;
        let rotate_by = input.time_option()?;
        let revoked = input.time_option()?;
        let used_at = input.time_option()?;
        let used_from = input.text()?.to_owned();
        let revision = Revision(input.u64()?);
        input.end()?;
        Ok(Self {
            id,
            directory,
            scope,
            label,
            hash,
            digest,
            created,
            expires,
            rotate_by,
            revoked,
            last_used: used_at.map(|at| (at, used_from)),
            revision,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::base::clock::Timestamp;
    use crate::base::ident::DirectoryId;
    use crate::base::ident::DirectoryName;
    use crate::base::ident::Revision;
    use crate::base::ident::TokenId;
    use crate::scim::schema::Profile;
    use crate::scim::schema::ResourceKind;
    use crate::store::change::Index;
    use crate::store::row::DeletedRow;
    use crate::store::row::DirectoryRow;
    use crate::store::row::Scope;
    use crate::store::row::TokenRow;

    #[test]
    fn rows_are_read_back_and_no_shorter_ones_are() {
        let at = Timestamp::from_millis(1_700_000_000_000);
        let directory = DirectoryRow {
            id: DirectoryId(7),
            name: DirectoryName::parse("hr").unwrap(),
            profile: Profile::Strict,
            users_only: true,
            enabled: false,
            created: at,
            revision: Revision(3),
        };
        let bytes = directory.encode();
        assert_eq!(DirectoryRow::decode(&bytes), Ok(directory));
        for short in 0..bytes.len() {
            assert!(DirectoryRow::decode(&bytes[..short]).is_err(), "{short}");
        }
        let deleted = DeletedRow {
            kind: ResourceKind::Group,
            at,
            revision: Revision(4),
            history: 9,
            names: vec![(Index::DisplayName, "optics".into())],
        };
        let bytes = deleted.encode();
        assert_eq!(DeletedRow::decode(&bytes), Ok(deleted));
        for short in 0..bytes.len() {
            assert!(DeletedRow::decode(&bytes[..short]).is_err(), "{short}");
        }
        for (directory, last_used) in [
            (None, None),
            (Some(DirectoryId(1)), Some((at, "192.0.2.7".to_owned()))),
        ] {
            let token = TokenRow {
                id: TokenId::parse("abcdefgh27").unwrap(),
                directory,
                scope: Scope::Read,
                label: "Entra ID".to_owned(),
                hash: "$argon2id$…".to_owned(),
                digest: [1, 2, 3],
                created: at,
                expires: Some(at.plus_millis(1)),
                rotate_by: None,
                revoked: Some(at.plus_millis(2)),
                last_used,
                revision: Revision(1),
            };
            let bytes = token.encode();
            assert_eq!(TokenRow::decode(&bytes), Ok(token));
            for short in 0..bytes.len() {
                assert!(TokenRow::decode(&bytes[..short]).is_err(), "{short}");
            }
        }
    }
}
