//! Compares what the writers know with what the server says, and every way of asking with every other.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;

use serde_json::Value;

use crate::kill::Sum;
use crate::kill::world::Kind;
use crate::kill::world::Person;
use crate::kill::world::Team;
use crate::kill::world::World;
use crate::kill::writer::Thing;
use crate::kill::writer::Writer;
use crate::process::Access;
use crate::wire::Wire;

/// How many of the names that a thing had are looked for.
const NAMES: usize = 4;
/// Resources on a page.
const PAGE: usize = 200;

/// Who is in which group, by id.
type Edges = BTreeMap<String, BTreeSet<String>>;

/// A look at everything that is there.
struct Look<'a> {
    /// The server.
    access: &'a Access,
    /// A connection to it.
    wire: Wire,
    /// Every resource as a GET by id shows it.
    resources: BTreeMap<String, (Kind, Value)>,
    /// What came of it.
    sum: &'a mut Sum,
}

/// Compares everything the writers know with what the server says; the writers then know what is. `everybody` is the id of the
/// group of all writers.
pub fn check(
    access: &Access,
    everybody: &str,
    writers: &mut [Writer],
    sum: &mut Sum,
) -> io::Result<()> {
    let mut look = Look {
        access,
        wire: access.connect()?,
        resources: BTreeMap::new(),
        sum,
    };
    let all = look.by_id(Kind::Group, everybody)?;
    look.keep(Kind::Group, all);
    for thing in writers.iter_mut().flat_map(|writer| &mut writer.things) {
        look.thing(thing)?;
    }
    let edges = look.edges();
    for writer in writers.iter_mut() {
        look.writer(writer, &edges, everybody);
    }
    for kind in Kind::BOTH {
        look.list(kind)?;
    }
    let things = writers.iter().flat_map(|writer| &writer.things);
    let ids: BTreeSet<&str> = things.filter_map(|thing| thing.id.as_deref()).collect();
    look.memberships(&edges, &ids)
}

impl Look<'_> {
    /// Takes down that two ways of asking disagree.
    fn wrong(&mut self, what: String) {
        self.sum.disagreements.push(what);
    }

    /// The JSON of a GET that must succeed.
    fn get(&mut self, path: &str) -> io::Result<Value> {
        let answer = self.wire.send(&self.access.request("GET", path))?;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        Ok(answer.json())
    }

    /// A resource, when it is there.
    fn by_id(&mut self, kind: Kind, id: &str) -> io::Result<Option<Value>> {
        let path = format!("{}/{id}", kind.path());
        let answer = self.wire.send(&self.access.request("GET", &path))?;
        match answer.status {
            404 => Ok(None),
            200 => {
                let resource = answer.json();
                if answer.header("etag") != resource["meta"]["version"].as_str() {
                    self.wrong(format!("the ETag is another than the version: {answer:?}"));
                }
                Ok(Some(resource))
            }
            _ => panic!("{path}: {answer:?}"),
        }
    }

    /// Keeps a resource for everything that comes after.
    fn keep(&mut self, kind: Kind, resource: Option<Value>) {
        if let Some(resource) = resource {
            self.resources.insert(id(&resource), (kind, resource));
        }
    }

    /// What a filter finds, all of it; `more` is the rest of the query.
    fn find(&mut self, kind: Kind, filter: &str, more: &str) -> io::Result<Vec<Value>> {
        let filter = filter
            .replace('@', "%40")
            .replace(' ', "+")
            .replace('"', "%22");
        let mut found = Vec::new();
        loop {
            let first = found.len() + 1;
            let path = kind.path();
            let path = format!("{path}?filter={filter}&count={PAGE}&startIndex={first}{more}");
            let mut page = self.get(&path)?;
            let resources = page["Resources"].as_array_mut().map(std::mem::take);
            let resources = resources.unwrap_or_default();
            let last = resources.is_empty();
            found.extend(resources);
            if last || page["totalResults"] == found.len() {
                return Ok(found);
            }
        }
    }

    /// Compares one thing by id, `externalId` and the names it has and had.
    fn thing(&mut self, thing: &mut Thing) -> io::Result<()> {
        let kind = thing.kind;
        let filter = format!("externalId eq \"{}\"", thing.external);
        let by_external = self.find(kind, &filter, "")?;
        if thing.id.is_none() {
            // A creation without an answer: the id is learnt now, if there is one.
            thing.id = by_external.first().map(id);
        }
        let resource = match &thing.id {
            Some(id) => self.by_id(kind, id)?,
            None => None,
        };
        let alone: Vec<Value> = resource.iter().cloned().collect();
        if by_external != alone {
            self.wrong(format!("{filter} finds {by_external:?}, but {resource:?}"));
        }
        let names: BTreeSet<&String> = thing.names.iter().rev().take(NAMES).collect();
        for name in names {
            let filter = format!("{} eq \"{name}\"", kind.name());
            let found = self.find(kind, &filter, "")?;
            let here = alone.iter().filter(|one| one[kind.name()] == **name);
            if !found.iter().eq(here) {
                self.wrong(format!("{filter} finds {found:?}, but {resource:?}"));
            }
        }
        self.keep(kind, resource);
        Ok(())
    }

    /// The members of each group, as GET by id shows them.
    fn edges(&mut self) -> Edges {
        let mut edges = Edges::new();
        let mut wrong = Vec::new();
        for (group, resource) in self.resources.values().filter_map(as_group) {
            let mut members = BTreeSet::new();
            for member in resource["members"].as_array().into_iter().flatten() {
                let id = member["value"].as_str().unwrap_or_default();
                let kind = self.resources.get(id).map(|(kind, _resource)| *kind);
                let fits = kind.is_some_and(|kind| {
                    let end = format!("/v2{}/{id}", kind.path());
                    let url = member["$ref"].as_str().unwrap_or_default();
                    member["type"] == kind.word() && url.ends_with(&end)
                });
                if !fits || !members.insert(id.to_owned()) {
                    wrong.push(format!("{group} has the member {member}, {kind:?}"));
                }
            }
            edges.insert(group, members);
        }
        self.sum.disagreements.extend(wrong);
        edges
    }

    /// Compares all that one writer knows: its last write is there as a whole or not at all, all others are there.
    fn writer(&mut self, writer: &mut Writer, edges: &Edges, everybody: &str) {
        let seen = self.world(&writer.things, edges, everybody);
        let mut after = writer.known.clone();
        let pending = writer.pending.take().map(|mut change| {
            let external = change.external().map(str::to_owned);
            let mut things = writer.things.iter();
            let thing = things.find(|thing| Some(&thing.external) == external.as_ref());
            if let Some(id) = thing.and_then(|thing| thing.id.as_deref()) {
                change.learn(id);
            }
            after.apply(&change);
            change
        });
        if seen != writer.known && seen != after {
            let (known, after) = (
                writer.known.differences(&seen),
                after.differences(&seen).len(),
            );
            self.sum.lost.push(format!(
                "with {pending:?} under way, which would leave {after} differences: {known:#?}"
            ));
        }
        let unmoved = seen == writer.known && seen != after || pending.is_none();
        for thing in &mut writer.things {
            let resource = thing.id.as_ref().and_then(|id| self.resources.get(id));
            let version =
                resource.and_then(|(_kind, resource)| resource["meta"]["version"].as_str());
            let version = version.map(str::to_owned);
            if unmoved && thing.version.is_some() && thing.version != version {
                let wrong = format!("{thing:?} is at {version:?}");
                self.sum.disagreements.push(wrong);
            }
            thing.version = version;
        }
        writer.known = seen;
    }

    /// What there is of one writer's things.
    fn world(&mut self, things: &[Thing], edges: &Edges, everybody: &str) -> World {
        let mut world = World::default();
        let all = edges.get(everybody);
        for thing in things {
            let Some(id) = thing.id.clone() else {
                continue;
            };
            if all.is_some_and(|all| all.contains(&id)) {
                world.shared.insert(id.clone());
            }
            let Some((kind, resource)) = self.resources.get(&id) else {
                continue;
            };
            let external = thing.external.clone();
            let text = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
            let name = text(kind.name());
            match kind {
                Kind::User => {
                    let mark = text("title");
                    let email = format!("{external}@mail.northbridge.example");
                    if text("nickName") != mark || resource["emails"][0]["value"] != email.as_str()
                    {
                        let wrong = format!("in part: {resource}");
                        self.sum.disagreements.push(wrong);
                    }
                    world.people.insert(external, Person { id, name, mark });
                }
                Kind::Group => {
                    let members = edges.get(&id).cloned().unwrap_or_default();
                    world.teams.insert(external, Team { id, name, members });
                }
            }
        }
        world
    }

    /// Compares the pages of a list with what there is.
    fn list(&mut self, kind: Kind) -> io::Result<()> {
        let mut listed = 0;
        let there = self.resources.values();
        let expected = there.filter(|(other, _resource)| *other == kind).count();
        loop {
            let path = format!("{}?count={PAGE}&startIndex={}", kind.path(), listed + 1);
            let page = self.get(&path)?;
            let resources = page["Resources"].as_array().cloned().unwrap_or_default();
            if page["totalResults"] != expected {
                let total = &page["totalResults"];
                self.wrong(format!("{path}: totalResults {total}, not {expected}"));
            }
            for resource in &resources {
                let single = self.resources.get(&id(resource));
                if single.is_none_or(|(_kind, single)| single != resource) {
                    let wrong = format!("{path} has {resource}, by id it is {single:?}");
                    self.wrong(wrong);
                }
            }
            listed += resources.len();
            if resources.is_empty() {
                break;
            }
        }
        if listed != expected {
            self.wrong(format!("{listed} in {}, not {expected}", kind.path()));
        }
        Ok(())
    }

    /// Compares members with the groups of users, both by id and by filter. `ids` are all that ever were.
    fn memberships(&mut self, edges: &Edges, ids: &BTreeSet<&str>) -> io::Result<()> {
        let mut groups_of = Edges::new();
        for (group, members) in edges {
            for member in members {
                let groups = groups_of.entry(member.clone()).or_default();
                groups.insert(group.clone());
            }
        }
        let none = BTreeSet::new();
        for id in ids {
            let filter = format!("members.value eq \"{id}\"");
            let found = self.find(Kind::Group, &filter, "&excludedAttributes=members")?;
            self.compare(&filter, &found, groups_of.get(*id).unwrap_or(&none));
        }
        let mut within = Edges::new();
        let users: Vec<(String, Value)> = self.resources.values().filter_map(as_user).collect();
        for (user, resource) in users {
            let direct = groups_of.get(&user).unwrap_or(&none);
            let through = through(&groups_of, direct);
            for group in &through {
                let users = within.entry(group.clone()).or_default();
                users.insert(user.clone());
            }
            let expected: BTreeSet<(String, String, &str)> = through
                .into_iter()
                .map(|group| {
                    let word = if direct.contains(&group) {
                        "direct"
                    } else {
                        "indirect"
                    };
                    let resource = self.resources.get(&group);
                    let display = resource.and_then(|(_kind, group)| group["displayName"].as_str());
                    (group, display.unwrap_or_default().to_owned(), word)
                })
                .collect();
            let shown = resource["groups"].as_array().into_iter().flatten();
            let shown: Vec<(String, String, &str)> = shown
                .map(|group| {
                    let text = |name: &str| group[name].as_str().unwrap_or_default();
                    (text("value").into(), text("display").into(), text("type"))
                })
                .collect();
            if shown.len() != expected.len() || !shown.iter().all(|one| expected.contains(one)) {
                self.wrong(format!("{user} is in {expected:?}, and says {shown:?}"));
            }
        }
        for group in edges.keys() {
            let filter = format!("groups.value eq \"{group}\"");
            let found = self.find(Kind::User, &filter, "&attributes=id")?;
            self.compare(&filter, &found, within.get(group).unwrap_or(&none));
        }
        Ok(())
    }

    /// Compares what was found with the ids that should be.
    fn compare(&mut self, filter: &str, found: &[Value], expected: &BTreeSet<String>) {
        let ids: BTreeSet<String> = found.iter().map(id).collect();
        if ids != *expected || ids.len() != found.len() {
            self.wrong(format!("{filter} finds {found:?}, not {expected:?}"));
        }
    }
}

/// The id of a resource.
fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap_or_default().to_owned()
}

/// The id of a group, and the group.
fn as_group((kind, resource): &(Kind, Value)) -> Option<(String, &Value)> {
    (*kind == Kind::Group).then(|| (id(resource), resource))
}

/// The id of a user, and the user.
fn as_user((kind, resource): &(Kind, Value)) -> Option<(String, Value)> {
    (*kind == Kind::User).then(|| (id(resource), resource.clone()))
}

/// These groups, and the groups that they are in, whatever the depth.
fn through(groups_of: &Edges, direct: &BTreeSet<String>) -> BTreeSet<String> {
    let mut found = direct.clone();
    let mut next: Vec<String> = direct.iter().cloned().collect();
    while let Some(group) = next.pop() {
        for outer in groups_of.get(&group).into_iter().flatten() {
            if found.insert(outer.clone()) {
                next.push(outer.clone());
            }
        }
    }
    found
}
