//! A group and those who may be in it, all by name: requests and outcomes in a word each.

use serde_json::Value;
use serde_json::json;

use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::directory::Written;
use crate::directory::error::DirectoryError;
use crate::directory::members::MEMBER_UNKNOWN;
use crate::directory::tests::fixture::GROUP;
use crate::directory::tests::fixture::NOBODY;
use crate::directory::tests::fixture::Stage;
use crate::directory::tests::fixture::USER;
use crate::directory::tests::fixture::Way;
use crate::directory::tests::fixture::members_of;
use crate::scim::schema::Profile;
use crate::scim::schema::core;

/// A directory with the users mara, ola and bo; with gone, who is deleted; with the group lab, in which mara is; and with
/// the group optics. Nobody never was, and x is no id.
pub struct Cast {
    /// The directory.
    pub stage: Stage,
    /// Who is called what.
    names: Vec<(&'static str, String)>,
    /// The group optics.
    pub optics: ResourceId,
}

/// What a write came to: who is in the group, what was noted, and whether the revision moved; or why it was refused.
pub type Came = Result<(String, String, bool), String>;

/// It was done.
pub fn came(members: &str, noted: &str, moved: bool) -> Came {
    Ok((members.to_owned(), noted.to_owned(), moved))
}

/// It was refused.
pub fn refused(why: &str) -> Came {
    Err(why.to_owned())
}

impl Cast {
    /// All of them. In the group optics, which is at its second revision then, are `members`.
    pub fn new(profile: Profile, members: &str) -> Self {
        let stage = Stage::new(profile);
        let [mara, ola, bo, gone] = ["mara", "ola", "bo", "gone"].map(|name| stage.user(name));
        let lab = stage.group("Lab", &[mara]);
        stage.delete(Way::Begun, USER, gone).unwrap();
        let optics = stage.group("Optics", &[]);
        let ids = [
            ("mara", mara),
            ("ola", ola),
            ("bo", bo),
            ("gone", gone),
            ("lab", lab),
            ("optics", optics),
        ];
        let ids = ids.map(|(name, id)| (name, id.to_string()));
        let others = [("nobody", NOBODY.to_owned()), ("x", "x".to_owned())];
        let cast = Self {
            stage,
            names: ids.into_iter().chain(others).collect(),
            optics,
        };
        let body = json!({
            "schemas": [core::GROUP], "displayName": "Optics", "externalId": "optics", "members": cast.list(members),
        });
        let put = cast.stage.replace(Way::Begun, GROUP, optics, &body);
        assert_eq!(put.unwrap().stored.revision, Revision(2));
        cast
    }

    /// What clients send for somebody.
    pub fn value(&self, name: &str) -> String {
        let named = self.names.iter().find(|(known, _)| *known == name);
        named.unwrap().1.clone()
    }

    /// A list of members: names with blanks between them.
    pub fn list(&self, names: &str) -> Value {
        members_of(names.split_whitespace().map(|name| self.value(name)))
    }

    /// The operations that a text means: `add`, `set` and `drop` with names, `clear`, `where` with a filter in which names
    /// stand between angle brackets, `call` and `tag` with a name and an externalId for the group; or else JSON.
    pub fn operations(&self, text: &str) -> Value {
        let operation = |text: &str| {
            let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
            match verb {
                "add" => json!({"op": "add", "path": "members", "value": self.list(rest)}),
                "set" => json!({"op": "replace", "path": "members", "value": self.list(rest)}),
                "drop" => {
                    let id = self.value(rest);
                    json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")})
                }
                "clear" => json!({"op": "remove", "path": "members"}),
                "where" => {
                    let filter = self
                        .names
                        .iter()
                        .fold(rest.to_owned(), |filter, (name, id)| {
                            filter.replace(&format!("<{name}>"), id)
                        });
                    json!({"op": "remove", "path": format!("members[{filter}]")})
                }
                "call" => json!({"op": "replace", "path": "displayName", "value": rest}),
                "tag" => json!({"op": "replace", "value": {"externalId": rest}}),
                _ => serde_json::from_str(text).unwrap(),
            }
        };
        text.split("; ").map(operation).collect()
    }

    /// A text with names in place of ids.
    fn named(&self, text: &str) -> String {
        let names = self.names.iter();
        names.fold(text.to_owned(), |text, (name, value)| {
            text.replace(value.as_str(), name)
        })
    }

    /// Who is in a group.
    pub fn members(&self, group: ResourceId) -> String {
        let members = self.stage.members(group);
        let members: Vec<String> = members.iter().map(ToString::to_string).collect();
        self.named(&members.join(" "))
    }

    /// What a write to a group came to that was at revision `before`.
    pub fn came(&self, before: Revision, written: Result<Written, DirectoryError>) -> Came {
        match written {
            Ok(written) => {
                let notes = written.notes.iter();
                let notes = notes.filter(|note| note.code == MEMBER_UNKNOWN);
                let notes: Vec<String> = notes.map(|note| self.named(&note.path)).collect();
                let stored = &written.stored;
                let version = (stored.revision, stored.modified);
                assert_eq!(version, self.stage.version(GROUP, stored.id));
                let moved = stored.revision != before;
                assert_eq!(written.changed, moved);
                Ok((self.members(stored.id), notes.join(" "), moved))
            }
            Err(DirectoryError::UnknownMembers { values }) => {
                Err(format!("unknown: {}", self.named(&values.join(" "))))
            }
            Err(DirectoryError::Taken { by, .. }) => {
                Err(format!("taken by {}", self.named(&by.to_string())))
            }
            Err(DirectoryError::VersionMismatch { current }) => Err(format!("is at {current}")),
            Err(DirectoryError::Rejected(error)) => {
                Err(error.condition().scim_type().unwrap().to_owned())
            }
            Err(other) => Err(other.to_string()),
        }
    }
}
