//! A writer: makes, changes and deletes users and groups of its own, one write after the other, and knows what was
//! acknowledged and what was under way.

use std::collections::BTreeSet;
use std::io;

use serde_json::Value;
use serde_json::json;

use crate::dice::Dice;
use crate::kill::world::Change;
use crate::kill::world::Kind;
use crate::kill::world::Person;
use crate::kill::world::Team;
use crate::kill::world::World;
use crate::process::Access;
use crate::wire::Answer;
use crate::wire::Request;
use crate::wire::Wire;

/// Most members that a group gets at once.
const MEMBERS_MAX: u64 = 12;

/// Of how many members one is a group.
const GROUP_OF: u64 = 12;

/// A user or a group that a writer ever made, or tried to.
#[derive(Clone, Debug)]
pub struct Thing {
    /// What it is.
    pub kind: Kind,
    /// `externalId`: never changes and is never given again.
    pub external: String,
    /// Its id, once known.
    pub id: Option<String>,
    /// Every name that it was to have, the last one at the end.
    pub names: Vec<String>,
    /// The ETag that it must still have; nothing when others may have moved it.
    pub version: Option<String>,
}

/// A writer: what it made lives on over all rounds over one store.
#[derive(Debug)]
pub struct Writer {
    /// Its number, part of the names it gives.
    number: u64,
    /// Its chance.
    dice: Dice,
    /// The id of the group of all writers.
    everybody: String,
    /// Everything it ever made.
    pub things: Vec<Thing>,
    /// What was acknowledged.
    pub known: World,
    /// What was asked for and not acknowledged.
    pub pending: Option<Change>,
}

impl Writer {
    /// A writer that has made nothing yet.
    pub fn new(number: u64, dice: &mut Dice, everybody: &str) -> Self {
        Self {
            number,
            dice: dice.fork(number),
            everybody: everybody.to_owned(),
            things: Vec::new(),
            known: World::default(),
            pending: None,
        }
    }

    /// How many of a kind it made.
    pub fn count(&self, kind: Kind) -> usize {
        let things = self.things.iter();
        things.filter(|thing| thing.kind == kind).count()
    }

    /// One write of a random kind.
    pub fn step(&mut self, access: &Access, wire: &mut Wire) -> io::Result<()> {
        let kind = self.dice.below(20);
        if kind < 3 || self.known.people.is_empty() {
            return self.create_person(access, wire);
        }
        if kind < 6 {
            return self.change_person(access, wire);
        }
        if kind < 8 || self.known.teams.is_empty() {
            return self.create_team(access, wire);
        }
        match kind {
            8 => self.delete_person(access, wire),
            9 => self.delete_team(access, wire),
            10..=13 => self.add_one(access, wire),
            14 | 15 => self.remove_one(access, wire),
            16 => self.share(access, wire),
            _ => self.change_team(access, wire, kind == 17),
        }
    }

    /// One of so many, at random.
    fn one_of<T: Clone>(&mut self, of: impl ExactSizeIterator<Item = T>) -> Option<T> {
        let at = self.dice.index(of.len());
        let mut of = of;
        of.nth(at)
    }

    /// One who can be a member: a user of its own, or at times a group. There is one.
    fn candidate(&mut self) -> String {
        let people = self.known.people.values().map(|person| &person.id);
        let teams = self.known.teams.values().map(|team| &team.id);
        let (people, teams): (Vec<_>, Vec<_>) =
            (people.cloned().collect(), teams.cloned().collect());
        let group = self.dice.below(GROUP_OF) == 0;
        let team = group.then(|| self.one_of(teams.into_iter())).flatten();
        team.unwrap_or_else(|| self.one_of(people.into_iter()).unwrap())
    }

    /// Some who can be members: nobody at times.
    fn candidates(&mut self) -> BTreeSet<String> {
        let count = self.dice.below(MEMBERS_MAX);
        (0..count).map(|_| self.candidate()).collect()
    }

    /// The `externalId` of a new thing of this kind, which gets a name that begins with it.
    fn new_thing(&mut self, kind: Kind, name: impl Fn(&str) -> String) -> (String, String) {
        let external = format!("w{}-{:?}{}", self.number, kind, self.things.len()).to_lowercase();
        let name = name(&external);
        self.things.push(Thing {
            kind,
            external: external.clone(),
            id: None,
            names: vec![name.clone()],
            version: None,
        });
        (external, name)
    }

    /// Sends a write, of which `change` is what it does, and takes down that it was acknowledged.
    fn send(
        &mut self,
        wire: &mut Wire,
        request: &Request,
        status: u16,
        change: Change,
    ) -> io::Result<()> {
        let external = change.external().map(str::to_owned);
        let deletes = matches!(change, Change::NoPerson(_) | Change::NoTeam(_));
        let pending = self.pending.insert(change);
        let answer = wire.send(request)?;
        assert_eq!(answer.status, status, "{request:?}: {answer:?}");
        if status == 201 {
            pending.learn(answer.json()["id"].as_str().unwrap());
        }
        let before = deletes.then(|| self.known.clone());
        let change = self.pending.take().unwrap();
        self.known.apply(&change);
        if let Some(before) = before {
            // The revision of a group moves when a member is deleted.
            let teams = self.known.teams.iter();
            let moved = teams.filter(|(external, team)| before.teams.get(*external) != Some(*team));
            let moved: Vec<String> = moved.map(|(external, _team)| external.clone()).collect();
            for external in moved {
                self.thing(&external).version = None;
            }
        }
        if let Some(external) = external {
            self.remember(&external, &change, &answer);
        }
        Ok(())
    }

    /// A thing that it made.
    fn thing(&mut self, external: &str) -> &mut Thing {
        let mut things = self.things.iter_mut();
        things.find(|thing| thing.external == external).unwrap()
    }

    /// Takes down what an answer tells of a thing.
    fn remember(&mut self, external: &str, change: &Change, answer: &Answer) {
        let thing = self.thing(external);
        match change {
            Change::Person(_, Person { id, .. }) | Change::Team(_, Team { id, .. }) => {
                thing.id = Some(id.clone());
                thing.version = answer.header("etag").map(str::to_owned);
                assert!(thing.version.is_some(), "{answer:?}");
            }
            Change::NoPerson(_) | Change::NoTeam(_) | Change::Shared(..) => thing.version = None,
        }
    }

    /// Creates a user.
    fn create_person(&mut self, access: &Access, wire: &mut Wire) -> io::Result<()> {
        let name = |external: &str| format!("{external}@northbridge.example");
        let (external, name) = self.new_thing(Kind::User, name);
        let mark = "created".to_owned();
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "externalId": external, "userName": name,
            "title": mark, "nickName": mark, "active": true,
            "emails": [{"type": "work", "primary": true, "value": format!("{external}@mail.northbridge.example")}],
        });
        let id = String::new();
        let change = Change::Person(external, Person { id, name, mark });
        self.send(
            wire,
            &access.request("POST", "/Users").json(&body),
            201,
            change,
        )
    }

    /// Changes a user: two attributes that belong together, and at times the name.
    fn change_person(&mut self, access: &Access, wire: &mut Wire) -> io::Result<()> {
        let people = self.known.people.clone();
        let Some((external, mut person)) = self.one_of(people.into_iter()) else {
            return Ok(());
        };
        let serial = self.dice.below(1 << 32);
        if serial.is_multiple_of(2) {
            person.name = format!("renamed-{serial:x}-{external}");
            let name = person.name.clone();
            self.thing(&external).names.push(name);
        }
        person.mark = format!("mark {serial:x}");
        let body = patch(&[
            json!({"op": "Replace", "path": "title", "value": person.mark}),
            json!({"op": "Replace", "path": "userName", "value": person.name}),
            json!({"op": "Replace", "path": "nickName", "value": person.mark}),
        ]);
        let request = access.request("PATCH", &format!("/Users/{}", person.id));
        let change = Change::Person(external, person);
        self.send(wire, &request.json(&body), 200, change)
    }

    /// Deletes a user, who may be in groups.
    fn delete_person(&mut self, access: &Access, wire: &mut Wire) -> io::Result<()> {
        let people = self.known.people.clone();
        let Some((external, person)) = self.one_of(people.into_iter()) else {
            return Ok(());
        };
        let request = access.request("DELETE", &format!("/Users/{}", person.id));
        self.send(wire, &request, 204, Change::NoPerson(external))
    }

    /// Creates a group with some members.
    fn create_team(&mut self, access: &Access, wire: &mut Wire) -> io::Result<()> {
        let members = self.candidates();
        let (external, name) = self.new_thing(Kind::Group, |external| format!("team {external}"));
        let team = Team {
            id: String::new(),
            name,
            members,
        };
        let request = access.request("POST", "/Groups");
        let request = request.json(&group(&external, &team));
        self.send(wire, &request, 201, Change::Team(external, team))
    }

    /// Deletes a group, which may have members and may be one.
    fn delete_team(&mut self, access: &Access, wire: &mut Wire) -> io::Result<()> {
        let teams = self.known.teams.clone();
        let Some((external, team)) = self.one_of(teams.into_iter()) else {
            return Ok(());
        };
        let request = access.request("DELETE", &format!("/Groups/{}", team.id));
        self.send(wire, &request, 204, Change::NoTeam(external))
    }

    /// Adds one member, who may be one already.
    fn add_one(&mut self, access: &Access, wire: &mut Wire) -> io::Result<()> {
        let teams = self.known.teams.clone();
        let id = self.candidate();
        let Some((external, mut team)) = self.one_of(teams.into_iter()) else {
            return Ok(());
        };
        let body = patch(&[add([&id])]);
        team.members.insert(id);
        self.patch_team(access, wire, external, team, &body)
    }

    /// Removes one member, in one of the two forms.
    fn remove_one(&mut self, access: &Access, wire: &mut Wire) -> io::Result<()> {
        let mut teams = self.known.teams.clone();
        teams.retain(|_external, team| !team.members.is_empty());
        if teams.is_empty() {
            return self.add_one(access, wire);
        }
        let Some((external, mut team)) = self.one_of(teams.into_iter()) else {
            return Ok(());
        };
        let members: Vec<String> = team.members.iter().cloned().collect();
        let Some(id) = self.one_of(members.into_iter()) else {
            return Ok(());
        };
        team.members.remove(&id);
        let short = self.dice.below(2) == 0;
        let body = patch(&[remove(&id, short)]);
        self.patch_team(access, wire, external, team, &body)
    }

    /// Changes a group as a whole: with PUT, or by a PATCH that also gives it another name, clears it or sets its list.
    fn change_team(&mut self, access: &Access, wire: &mut Wire, put: bool) -> io::Result<()> {
        let teams = self.known.teams.clone();
        let Some((external, mut team)) = self.one_of(teams.into_iter()) else {
            return Ok(());
        };
        let before = team.members.clone();
        team.members = self.candidates();
        let serial = self.dice.below(1 << 32);
        let rename = serial.is_multiple_of(2);
        if rename {
            team.name = format!("renamed {serial:x} {external}");
            let name = team.name.clone();
            self.thing(&external).names.push(name);
        }
        if put {
            let request = access.request("PUT", &format!("/Groups/{}", team.id));
            let request = request.json(&group(&external, &team));
            return self.send(wire, &request, 200, Change::Team(external, team));
        }
        let mut operations = Vec::new();
        match serial % 4 {
            0 | 1 => {
                let members = values(&team.members);
                operations.push(json!({"op": "Replace", "path": "members", "value": members}));
            }
            2 => {
                operations.push(json!({"op": "Remove", "path": "members"}));
                operations.push(add(team.members.iter().take(1)));
                team.members = team.members.into_iter().take(1).collect();
            }
            _ => {
                let gone = before.difference(&team.members);
                operations.extend(gone.map(|id| remove(id, false)));
                operations.push(add(&team.members));
            }
        }
        // An add of nobody is refused.
        operations.retain(|operation| operation["op"] != "Add" || operation["value"] != json!([]));
        if rename || operations.is_empty() {
            operations.push(json!({"op": "Replace", "path": "displayName", "value": team.name}));
        }
        let body = patch(&operations);
        self.patch_team(access, wire, external, team, &body)
    }

    /// Sends a PATCH of a group, which becomes `team`.
    fn patch_team(
        &mut self,
        access: &Access,
        wire: &mut Wire,
        external: String,
        team: Team,
        body: &Value,
    ) -> io::Result<()> {
        let request = access.request("PATCH", &format!("/Groups/{}", team.id));
        let change = Change::Team(external, team);
        self.send(wire, &request.json(body), 204, change)
    }

    /// Puts somebody into the group of all writers, or takes somebody out.
    fn share(&mut self, access: &Access, wire: &mut Wire) -> io::Result<()> {
        let id = self.candidate();
        let comes = !self.known.shared.contains(&id);
        let body = if comes {
            patch(&[add([&id])])
        } else {
            patch(&[remove(&id, true)])
        };
        let request = access.request("PATCH", &format!("/Groups/{}", self.everybody));
        let change = Change::Shared(id, comes);
        self.send(wire, &request.json(&body), 204, change)
    }
}

/// The body of a PATCH.
fn patch(operations: &[Value]) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
}

/// The operation that adds members.
fn add<'a>(ids: impl IntoIterator<Item = &'a String>) -> Value {
    json!({"op": "Add", "path": "members", "value": values(ids)})
}

/// The operation that removes one, in one of the two forms.
fn remove(id: &str, short: bool) -> Value {
    if short {
        json!({"op": "Remove", "path": format!("members[value eq \"{id}\"]")})
    } else {
        json!({"op": "Remove", "path": "members", "value": [{"value": id}]})
    }
}

/// Ids as members.
fn values<'a>(ids: impl IntoIterator<Item = &'a String>) -> Value {
    ids.into_iter().map(|id| json!({"value": id})).collect()
}

/// The body of a group.
fn group(external: &str, team: &Team) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "externalId": external,
        "displayName": team.name, "members": values(&team.members),
    })
}
