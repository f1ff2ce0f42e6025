//! Members of a group, and their order: that of their ids.

use std::cmp::Ordering;

use crate::base::ident::ResourceId;
use crate::store::edges::Ends;
use crate::store::edges::Node;

/// A member: how its id begins, which tells nearly all apart, and which slot it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The first four bytes of its id.
    head: u32,
    /// Its slot.
    pub node: Node,
}

/// How an id begins.
const fn head(id: ResourceId) -> u32 {
    let [a, b, c, d, ..] = *id.as_bytes();
    u32::from_be_bytes([a, b, c, d])
}

impl Member {
    /// The member with this id.
    pub const fn new(id: ResourceId, node: Node) -> Self {
        let head = head(id);
        Self { head, node }
    }

    /// How its id stands to `id`, which begins with `begin`.
    fn order(self, ends: Ends<'_>, id: ResourceId, begin: u32) -> Ordering {
        let heads = self.head.cmp(&begin);
        heads.then_with(|| ends.id(self.node).cmp(&Some(id)))
    }
}

/// Which members come before the one with this id.
pub fn before(ends: Ends<'_>, id: ResourceId) -> impl Fn(Member) -> bool {
    let begin = head(id);
    move |member| member.order(ends, id, begin).is_lt()
}

/// Which members come before the one with this id, and that one.
pub fn up_to(ends: Ends<'_>, id: ResourceId) -> impl Fn(Member) -> bool {
    let begin = head(id);
    move |member| member.order(ends, id, begin).is_le()
}
