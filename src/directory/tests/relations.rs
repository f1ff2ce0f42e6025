//! Searches by memberships: what the edges answer is what looking at every resource would, and what the model says.

use std::collections::BTreeSet;

use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::prop;
use proptest::prop_assert_eq;
use proptest::prop_oneof;
use proptest::test_runner::TestRunner;

use crate::base::ident::ResourceId;
use crate::directory::Memberships;
use crate::directory::error::DirectoryError;
use crate::directory::plan::Plan;
use crate::directory::plan::Source;
use crate::directory::read::FromMemory;
use crate::directory::search::Found;
use crate::directory::search::Page;
use crate::directory::search::Search;
use crate::directory::tests::fixture::GROUP;
use crate::directory::tests::fixture::NOBODY;
use crate::directory::tests::fixture::Stage;
use crate::directory::tests::fixture::USER;
use crate::directory::tests::fixture::Way;
use crate::directory::tests::fixture::members_of;
use crate::scim::filter::Filter;
use crate::scim::filter::FilterLimits;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::store::change::Select;

/// Users.
const USERS: usize = 70;
/// Groups.
const GROUPS: usize = 14;
/// Every resource on one page.
const ALL: Page = Page {
    offset: 0,
    count: 1000,
};

/// A directory with many memberships.
struct Web {
    /// The directory.
    stage: Stage,
    /// Its users.
    users: Vec<ResourceId>,
    /// Its groups.
    groups: Vec<ResourceId>,
    /// Whoever may be asked for: all of these, some who are deleted, and somebody who never was.
    ids: Vec<String>,
    /// Who is in which group.
    edges: BTreeSet<(ResourceId, ResourceId)>,
}

/// Many users in a few groups, which are in one another, also in loops; some of both are deleted.
fn web() -> Web {
    let stage = Stage::new(Profile::Entra);
    let mut users: Vec<_> = (0..USERS)
        .map(|number| stage.user(&format!("user{number:02}")))
        .collect();
    let mut groups: Vec<_> = (0..GROUPS)
        .map(|number| {
            // The last group but two is empty, the first has everybody.
            let inside = users.iter().enumerate().filter(|(user, _)| {
                number == 0 || number != GROUPS - 3 && (user * 7 + number * 3) % (number + 2) == 1
            });
            let inside: Vec<_> = inside.map(|(_, id)| *id).collect();
            stage.group(&format!("Group {number:02}"), &inside)
        })
        .collect();
    for (outer, inner) in [
        (1, 2),
        (2, 3),
        (3, 1),
        (4, 4),
        (5, 1),
        (6, 5),
        (12, 7),
        (8, 13),
        (10, 9),
    ] {
        let (outer, inner): (ResourceId, ResourceId) = (groups[outer], groups[inner]);
        let operations =
            serde_json::json!([{"op": "add", "path": "members", "value": members_of([inner])}]);
        let added = stage.patch(Way::Begun, GROUP, outer, &operations, None);
        assert!(added.unwrap().changed);
    }
    let mut ids: Vec<String> = users
        .iter()
        .chain(&groups)
        .map(ToString::to_string)
        .collect();
    ids.extend([NOBODY.to_owned(), "x".to_owned()]);
    for gone in [users.remove(9), users.remove(3)] {
        stage.delete(Way::Begun, USER, gone).unwrap();
    }
    for gone in [groups.remove(13), groups.remove(7)] {
        stage.delete(Way::Begun, GROUP, gone).unwrap();
    }
    let edges = groups.iter().flat_map(|group| {
        let members = stage.members(*group).into_iter();
        members.map(|member| (*group, member))
    });
    let edges = edges.collect();
    Web {
        stage,
        users,
        groups,
        ids,
        edges,
    }
}

impl Web {
    /// Reads a filter.
    fn filter(&self, kind: ResourceKind, text: &str) -> Filter {
        let registry = self.stage.directory.registry();
        Filter::parse(text, registry, kind, FilterLimits::DEFAULT, &mut Vec::new()).unwrap()
    }

    /// What a search finds: the total and the ids of the page.
    fn found(&self, kind: ResourceKind, filter: Filter, page: Page) -> (usize, Vec<ResourceId>) {
        let search = Search::new(kind, Some(filter), "https://x/scim/one/v2".to_owned());
        let found = self.stage.directory.search(&search, page).unwrap();
        let ids = |found: &Found| {
            let ids = found.resources.iter().map(|stored| stored.id);
            (found.total, ids.collect::<Vec<_>>())
        };
        if let FromMemory::Known(known) = self.stage.directory.search_in_memory(&search, page) {
            assert_eq!(ids(&known), ids(&found));
        }
        ids(&found)
    }

    /// The groups that somebody is in, through others too.
    fn groups_of(&self, member: ResourceId) -> BTreeSet<ResourceId> {
        let mut found = BTreeSet::new();
        let mut open = vec![member];
        while let Some(id) = open.pop() {
            let outer = self.edges.iter().filter(|(_, member)| *member == id);
            for (group, _) in outer {
                if found.insert(*group) {
                    open.push(*group);
                }
            }
        }
        found
    }
}

/// One comparison; `{}` stands for ids.
fn terms(kind: ResourceKind) -> impl Strategy<Value = String> {
    let own = match kind {
        ResourceKind::Group => prop_oneof![
            4 => Just("members.value eq \"{}\""),
            2 => Just("members eq \"{}\""),
            2 => Just("members[value eq \"{}\"]"),
            1 => Just("members[value eq \"{}\" and type eq \"User\"]"),
            1 => Just("members[type eq \"group\" and value eq \"{}\"]"),
            1 => Just("members[value eq \"{}\" or value eq \"{}\"]"),
            1 => Just("members[value eq \"{}\" and value eq \"{}\"]"),
            1 => Just("members[not (value eq \"{}\")]"),
            1 => Just("members.value ne \"{}\""),
            1 => Just("members.type eq \"Group\""),
            1 => Just("members[$ref ew \"Users/{}\"]"),
            1 => Just("members pr"),
            1 => Just("displayName sw \"group 0\""),
        ]
        .boxed(),
        ResourceKind::User => prop_oneof![
            4 => Just("groups.value eq \"{}\""),
            2 => Just("groups eq \"{}\""),
            2 => Just("groups[value eq \"{}\"]"),
            2 => Just("groups[value eq \"{}\" and type eq \"direct\"]"),
            1 => Just("groups[type eq \"indirect\" and value eq \"{}\"]"),
            1 => Just("groups[value eq \"{}\" or value eq \"{}\"]"),
            1 => Just("groups.value ne \"{}\""),
            1 => Just("groups.type eq \"indirect\""),
            1 => Just("groups.display eq \"group 05\""),
            1 => Just("groups[display sw \"Group 1\" and value eq \"{}\"]"),
            1 => Just("groups pr"),
            1 => Just("userName sw \"user1\""),
        ]
        .boxed(),
    };
    prop_oneof![8 => own, 1 => Just("id eq \"{}\"")].prop_map(str::to_owned)
}

/// Some terms, joined.
fn filters(kind: ResourceKind) -> impl Strategy<Value = String> {
    terms(kind).prop_recursive(2, 6, 3, |inner| {
        let several = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            3 => several.clone().prop_map(|terms| format!("({})", terms.join(" and "))),
            1 => several.prop_map(|terms| format!("({})", terms.join(" or "))),
            1 => inner.prop_map(|term| format!("not ({term})")),
        ]
    })
}

#[test]
fn the_edges_find_what_looking_at_everything_finds() {
    let web = web();
    let names = prop::collection::vec((0..web.ids.len(), prop::bool::weighted(0.1)), 24);
    for kind in [USER, GROUP] {
        let page = (0..4_usize, 1..100_usize).prop_map(|(offset, count)| Page { offset, count });
        TestRunner::default()
            .run(
                &(filters(kind), names.clone(), page),
                |(mut text, names, page)| {
                    for (number, capitals) in names {
                        let id = &web.ids[number];
                        let id = if capitals {
                            id.to_uppercase()
                        } else {
                            id.clone()
                        };
                        text = text.replacen("{}", &id, 1);
                    }
                    let filter = web.filter(kind, &text);
                    // No index answers `or`.
                    let all = Filter::Or(vec![filter.clone(), filter.clone()]);
                    let expected = web.found(kind, all, page);
                    prop_assert_eq!(web.found(kind, filter, page), expected, "{}", text);
                    Ok(())
                },
            )
            .unwrap();
    }
}

#[test]
fn one_membership_is_found_where_it_is() {
    let web = web();
    for id in &web.ids {
        let parsed = ResourceId::parse(id);
        let groups = web
            .groups
            .iter()
            .filter(|group| parsed.is_some_and(|member| web.edges.contains(&(**group, member))));
        let groups: Vec<ResourceId> = groups.copied().collect();
        for text in ["members.value eq", "members eq", "members[value eq"] {
            let end = if text.contains('[') { "]" } else { "" };
            let filter = web.filter(GROUP, &format!("{text} \"{id}\"{end}"));
            let found = web.found(GROUP, filter, ALL);
            assert_eq!(found, (groups.len(), groups.clone()), "{text} {id}");
        }
        let users = web
            .users
            .iter()
            .filter(|user| parsed.is_some_and(|group| web.groups_of(**user).contains(&group)));
        let users: Vec<ResourceId> = users.copied().collect();
        let filter = web.filter(USER, &format!("groups.value eq \"{id}\""));
        let found = web.found(USER, filter, ALL);
        assert_eq!(found, (users.len(), users), "{id}");
    }
    for user in &web.users {
        let groups: BTreeSet<_> = web
            .stage
            .groups(*user)
            .into_iter()
            .map(|(id, ..)| id)
            .collect();
        assert_eq!(groups, web.groups_of(*user));
    }
}

#[test]
fn a_filter_on_memberships_names_the_edges_that_have_all_matches() {
    let web = web();
    let id = web.users[0];
    let has = || vec![Source::Index(Select::HasMember(id))];
    let within = || vec![Source::Index(Select::InGroup(id))];
    for (kind, text, sources, exact) in [
        (GROUP, "members.value eq \"{}\"", has(), true),
        (GROUP, "members eq \"{}\"", has(), true),
        (GROUP, "members[value eq \"{}\"]", has(), false),
        (
            GROUP,
            "members[value eq \"{}\" and type eq \"User\"]",
            has(),
            false,
        ),
        (GROUP, "members.value ne \"{}\"", vec![], false),
        (GROUP, "members.value sw \"{}\"", vec![], false),
        (
            GROUP,
            "members[value eq \"{}\" or type eq \"User\"]",
            vec![],
            false,
        ),
        (GROUP, "not (members.value eq \"{}\")", vec![], false),
        (GROUP, "members.value eq \"x\"", vec![], false),
        (USER, "groups.value eq \"{}\"", within(), true),
        (
            USER,
            "groups[value eq \"{}\" and type eq \"direct\"]",
            within(),
            false,
        ),
        (USER, "groups.display eq \"{}\"", vec![], false),
    ] {
        let filter = web.filter(kind, &text.replace("{}", &id.to_string()));
        assert_eq!(Plan::of(&filter), Plan { sources, exact }, "{text}");
    }
    let capitals = id.to_string().replacen("00000000", "AAAAAAAA", 1);
    let capitals = web.filter(GROUP, &format!("members eq \"{capitals}\""));
    let sources = Vec::new();
    let exact = false;
    assert_eq!(
        Plan::of(&capitals),
        Plan { sources, exact },
        "ids are in small letters"
    );
}

#[test]
fn a_page_has_memberships_when_they_are_asked_for_and_not_too_many() {
    let web = web();
    let both: usize = web
        .groups
        .iter()
        .take(2)
        .map(|group| web.stage.members(*group).len())
        .sum();
    let two = Page {
        offset: 0,
        count: 2,
    };
    let search = |kind| Search::new(kind, None, "https://x/scim/one/v2".to_owned());
    let directory = &web.stage.directory;
    for (kind, whole) in [(GROUP, false), (GROUP, true), (USER, false), (USER, true)] {
        let asked = if whole {
            search(kind).whole(both)
        } else {
            search(kind)
        };
        let found = directory.search(&asked, two).unwrap();
        let FromMemory::Known(known) = directory.search_in_memory(&asked, two) else {
            panic!("two of them are in memory")
        };
        for stored in found.resources.iter().chain(&known.resources) {
            let expected = match (kind, whole) {
                (_, false) => Memberships::Unread,
                (_, true) => web.stage.read(kind, stored.id).unwrap().memberships,
            };
            assert_eq!(stored.memberships, expected, "{kind:?} {whole}");
        }
        assert_eq!((found.resources.len(), known.resources.len()), (2, 2));
    }
    for (members_max, page, refused) in [
        (both, two, false),
        (both - 1, two, true),
        (0, two, true),
        // The empty group, and no group at all.
        (
            0,
            Page {
                offset: 10,
                count: 1,
            },
            false,
        ),
        (
            0,
            Page {
                offset: 0,
                count: 0,
            },
            false,
        ),
    ] {
        let found = directory.search(&search(GROUP).whole(members_max), page);
        let too_many = DirectoryError::TooManyMembers { members_max };
        match found {
            Ok(_) => assert!(!refused, "{members_max} {page:?}"),
            Err(error) => {
                assert!(refused, "{members_max} {page:?}");
                assert_eq!(error.to_string(), too_many.to_string());
            }
        }
    }
    // What is not shown does not count.
    assert!(directory.search(&search(GROUP), ALL).is_ok());
    assert!(directory.search(&search(USER).whole(0), ALL).is_ok());
}
