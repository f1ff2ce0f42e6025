//! A JSON body put together from parts, so that groups with many members need not be printed as a
//! whole before the first byte is sent.

use std::collections::VecDeque;

use crate::api::reply::Reply;
use crate::http::Bytes;
use crate::scim::resource::memberships::MemberOf;
use crate::scim::resource::memberships::MembersWriter;
use crate::scim::resource::memberships::members_bytes;
use crate::scim::schema::ResourceKind;

/// Members of one piece: some 40 KiB.
const PIECE_MEMBERS: usize = 256;
/// Up to so many members a body is printed at once.
const WHOLE_MEMBERS_MAX: usize = 1000;

/// A part of a body.
#[derive(Debug)]
enum Part {
    /// Text.
    Text(Vec<u8>),
    /// Members of one group, with commas between them.
    Members(Vec<MemberOf>),
}

/// A body.
#[derive(Debug)]
pub struct Parts {
    /// The Tenant URL, without a slash at its end.
    base: String,
    /// The parts, in order.
    parts: VecDeque<Part>,
    /// The text that comes after them; to be written to.
    pub text: Vec<u8>,
    /// Members in all parts.
    members: usize,
}

impl Parts {
    /// Nothing yet, below the Tenant URL `base`.
    pub fn new(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            parts: VecDeque::new(),
            text: Vec::new(),
            members: 0,
        }
    }

    /// Appends members, with commas between them and nothing around them.
    pub fn members(&mut self, members: Vec<MemberOf>) {
        self.members = self.members.saturating_add(members.len());
        let text = std::mem::take(&mut self.text);
        self.parts
            .extend([Part::Text(text), Part::Members(members)]);
    }

    /// The answer with this body.
    pub fn reply(mut self, status: u16) -> Reply {
        let text = std::mem::take(&mut self.text);
        self.parts.push_back(Part::Text(text));
        if self.members <= WHOLE_MEMBERS_MAX {
            let mut body = Vec::new();
            for part in self.parts {
                match part {
                    // Nearly always it is the only one.
                    Part::Text(text) if body.is_empty() => body = text,
                    Part::Text(text) => body.extend_from_slice(&text),
                    Part::Members(members) => {
                        MembersWriter::new(&self.base).write(&mut body, &members);
                    }
                }
            }
            return Reply::json(status, body);
        }
        let length: usize = self.parts.iter().map(|part| part.bytes(&self.base)).sum();
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        let pieces = Pieces {
            writer: MembersWriter::new(&self.base),
            parts: self,
            written: 0,
        };
        Reply::pieces(status, length, pieces)
    }
}

impl Part {
    /// Its length in bytes.
    fn bytes(&self, base: &str) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Members(members) => {
                let users = members.iter();
                let users = users.filter(|member| member.kind == ResourceKind::User);
                let users = users.count();
                members_bytes(base, users, members.len().saturating_sub(users))
            }
        }
    }
}

/// The pieces of a body as they are sent.
struct Pieces {
    /// What is still to be sent.
    parts: Parts,
    /// Prints the members of the first part.
    writer: MembersWriter,
    /// How many of them are printed.
    written: usize,
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let members = match self.parts.parts.front_mut()? {
            Part::Text(text) => {
                let text = std::mem::take(text);
                self.parts.parts.pop_front();
                return Some(text.into());
            }
            Part::Members(members) => members,
        };
        let mut piece = Vec::new();
        let until = members
            .len()
            .min(self.written.saturating_add(PIECE_MEMBERS));
        let next = members.get(self.written..until).unwrap_or_default();
        self.writer.write(&mut piece, next);
        self.written = until;
        if until == members.len() {
            self.parts.parts.pop_front();
            self.writer = MembersWriter::new(&self.parts.base);
            self.written = 0;
        }
        Some(piece.into())
    }
}

#[cfg(test)]
mod tests {
    use crate::api::parts::Parts;
    use crate::api::reply::Content;
    use crate::base::ident::CountedIds;
    use crate::base::ident::IdSource;
    use crate::scim::resource::memberships::MemberOf;
    use crate::scim::schema::ResourceKind;

    /// The bytes of a body, and whether they came in pieces; their length is as it was told.
    fn body(parts: Parts) -> (Vec<u8>, bool) {
        match parts.reply(200).body {
            Content::Nothing => panic!("there is a body"),
            Content::Whole(body) => (body, false),
            Content::Pieces { length, pieces } => {
                let body: Vec<u8> = pieces.flatten().collect();
                assert_eq!(u64::try_from(body.len()).unwrap(), length);
                (body, true)
            }
        }
    }

    #[test]
    fn a_body_is_the_same_at_once_and_in_pieces() {
        let ids = CountedIds::default();
        let members = |count: usize| -> Vec<MemberOf> {
            let kinds = [ResourceKind::User, ResourceKind::Group, ResourceKind::User];
            let kinds = kinds.into_iter().cycle().take(count);
            let members = kinds.map(|kind| MemberOf {
                id: ids.resource_id(),
                kind,
            });
            members.collect()
        };
        for counts in [[0, 3], [600, 400], [1000, 1], [3, 2000], [256, 5000]] {
            let mut parts = Parts::new("https://h/\"scim\"");
            let mut expected = Vec::new();
            for count in counts {
                let members = members(count);
                for out in [&mut parts.text, &mut expected] {
                    out.extend_from_slice(b"{\"members\":[");
                }
                let printed = members.iter().map(|member| {
                    let mut one = Vec::new();
                    let mut writer = super::MembersWriter::new("https://h/\"scim\"");
                    writer.write(&mut one, std::slice::from_ref(member));
                    one
                });
                expected.extend(printed.collect::<Vec<_>>().join(&b','));
                parts.members(members);
                parts.text.extend_from_slice(b"]}");
                expected.extend_from_slice(b"]}");
            }
            let many = counts.iter().sum::<usize>() > 1000;
            assert_eq!(body(parts), (expected, many), "{counts:?}");
        }
    }
}
