//! Memberships of one large group, and lists that grow and shrink.

use std::collections::BTreeSet;

use crate::base::clock::Timestamp;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::scim::schema::ResourceKind;
use crate::store::cell::Mark;
use crate::store::edges::Edges;
use crate::store::edges::Ends;
use crate::store::edges::list::Lists;
use crate::store::index::Indexes;
use crate::store::record::Header;

/// The `number`th id; ids that begin alike are among them.
fn id(number: u32) -> ResourceId {
    let mut bytes = [7; 16];
    bytes[..4].copy_from_slice(&(number % 100).wrapping_mul(0x9e37_79b9).to_be_bytes());
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    ResourceId::from_bytes(bytes)
}

/// Indexes of these resources.
fn indexes(numbers: std::ops::Range<u32>) -> Indexes {
    let mut indexes = Indexes::default();
    for number in numbers {
        let header = Header {
            revision: Revision(1),
            created: Timestamp::from_millis(0),
            modified: Timestamp::from_millis(0),
            born: u64::from(number),
            history: 0,
            keys: Vec::new(),
            label: None,
        };
        indexes.put(id(number), Mark { crc: 1, bytes: 1 }, &header);
    }
    indexes
}

/// One of them.
fn member_of_it(members: &BTreeSet<ResourceId>) -> ResourceId {
    members.first().copied().unwrap_or(ResourceId::NIL)
}

#[test]
fn a_large_group_is_paged_in_the_order_of_ids_and_shrinks_again() {
    let (users, groups) = (indexes(0..3000), indexes(3000..3002));
    let ends = Ends {
        users: &users,
        groups: &groups,
    };
    let mut edges = Edges::default();
    let group = id(3000);
    let mut model = BTreeSet::new();
    for step in 0..3000_u32 {
        let member = id(step.wrapping_mul(1877) % 3000);
        edges.put(ends, group, member);
        edges.put(ends, group, member);
        model.insert(member);
    }
    edges.put(ends, group, id(3001));
    model.insert(id(3001));
    for removed in (0..3000_u32).rev() {
        if removed % 500 == 499 {
            let mut found: Vec<ResourceId> = Vec::new();
            loop {
                let next = edges.members(ends, group, found.last().copied(), 77);
                found.extend(next.iter().map(|(id, _kind)| *id));
                if next.len() < 77 {
                    break;
                }
            }
            assert!(found.iter().eq(model.iter()), "{removed}");
            assert_eq!(edges.member_count(ends, group), model.len());
            assert_eq!(edges.count(), model.len());
            let pairs = edges.after(ends, None, usize::MAX);
            assert!(pairs.iter().map(|(_, member)| member).eq(model.iter()));
            assert!(edges.is_balanced());
            assert_eq!(edges.check(ends, member_of_it(&model)), []);
        }
        let member = id(removed.wrapping_mul(661) % 3000);
        edges.remove(ends, group, member);
        model.remove(&member);
        assert!(!edges.has(ends, group, member));
    }
    let left = edges.members(ends, group, None, usize::MAX);
    assert_eq!(left, [(id(3001), ResourceKind::Group)]);
}

#[test]
fn a_list_is_the_same_short_or_long() {
    let mut lists = Lists::default();
    let mut model = BTreeSet::new();
    for step in 0..4000_u32 {
        let entry = step.wrapping_mul(2_654_435_761) % 200;
        let before = |other: u32| other < entry;
        // It grows for a while, then shrinks for a while.
        if (step / 500).is_multiple_of(2) {
            assert_eq!(lists.insert(5, entry, before), model.insert(entry));
        } else {
            assert_eq!(lists.remove(5, entry, before), model.remove(&entry));
        }
        let list = lists.get(5).unwrap();
        assert_eq!(list.len(), model.len());
        assert!(list.all().eq(model.iter().copied()));
        assert!(model.iter().all(|entry| list.has(*entry)));
    }
    let taken = lists.take(5).unwrap();
    assert!(taken.all().eq(model));
    assert_eq!(lists.get(5).unwrap().len(), 0);
    assert!(lists.get(4).is_some_and(|list| list.len() == 0));
    assert!(lists.get(5000).is_none());
}
