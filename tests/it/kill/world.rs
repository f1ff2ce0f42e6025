//! What one writer made and what became of it: users, groups, and who is in which.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// What a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A user.
    User,
    /// A group.
    Group,
}

impl Kind {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::User, Self::Group];

    /// The endpoint.
    pub const fn path(self) -> &'static str {
        match self {
            Self::User => "/Users",
            Self::Group => "/Groups",
        }
    }

    /// The attribute that holds the name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "userName",
            Self::Group => "displayName",
        }
    }

    /// How members of this kind are marked.
    pub const fn word(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }
}

/// A user that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Its id.
    pub id: String,
    /// `userName`
    pub name: String,
    /// `title` and `nickName`, equal: they always change together.
    pub mark: String,
}

/// A group that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    /// Its id.
    pub id: String,
    /// `displayName`
    pub name: String,
    /// The ids of its members.
    pub members: BTreeSet<String>,
}

/// Everything of one writer that is there, by `externalId`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// Its users.
    pub people: BTreeMap<String, Person>,
    /// Its groups. Their members are its own users and groups.
    pub teams: BTreeMap<String, Team>,
    /// Which of them, by id, are in the group of all writers.
    pub shared: BTreeSet<String>,
}

/// What a write does.
#[derive(Clone, Debug)]
pub enum Change {
    /// There is such a user from now on.
    Person(String, Person),
    /// There is such a group from now on.
    Team(String, Team),
    /// The user is deleted.
    NoPerson(String),
    /// The group is deleted.
    NoTeam(String),
    /// Somebody comes into the group of all writers, or leaves it.
    Shared(String, bool),
}

impl Change {
    /// Gives what is created its id.
    pub fn learn(&mut self, new: &str) {
        match self {
            Self::Person(_, Person { id, .. }) | Self::Team(_, Team { id, .. }) => {
                new.clone_into(id);
            }
            Self::NoPerson(_) | Self::NoTeam(_) | Self::Shared(..) => {}
        }
    }

    /// The `externalId` of what it is about, but for the group of all writers.
    pub fn external(&self) -> Option<&str> {
        match self {
            Self::Person(external, _)
            | Self::Team(external, _)
            | Self::NoPerson(external)
            | Self::NoTeam(external) => Some(external),
            Self::Shared(..) => None,
        }
    }
}

impl World {
    /// Makes the change. Who is deleted is in no group any more.
    pub fn apply(&mut self, change: &Change) {
        let gone = match change {
            Change::Person(external, person) => {
                self.people.insert(external.clone(), person.clone());
                None
            }
            Change::Team(external, team) => {
                self.teams.insert(external.clone(), team.clone());
                None
            }
            Change::NoPerson(external) => self.people.remove(external).map(|person| person.id),
            Change::NoTeam(external) => self.teams.remove(external).map(|team| team.id),
            Change::Shared(id, true) => {
                self.shared.insert(id.clone());
                None
            }
            Change::Shared(id, false) => {
                self.shared.remove(id);
                None
            }
        };
        if let Some(id) = gone {
            self.shared.remove(&id);
            for team in self.teams.values_mut() {
                team.members.remove(&id);
            }
        }
    }

    /// What is not the same in the other.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        differing(&self.people, &other.people, &mut found);
        differing(&self.teams, &other.teams, &mut found);
        let shared = self.shared.symmetric_difference(&other.shared);
        found.extend(shared.map(|id| format!("{id} in the group of all")));
        found
    }
}

/// Tells which entries of two maps differ.
fn differing<T: PartialEq + std::fmt::Debug>(
    one: &BTreeMap<String, T>,
    other: &BTreeMap<String, T>,
    found: &mut Vec<String>,
) {
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for key in keys {
        let (left, right) = (one.get(key), other.get(key));
        if left != right {
            found.push(format!("{key}: {left:?}, but {right:?}"));
        }
    }
}
