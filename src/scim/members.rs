//! The members of a group as a request names them (RFC 7643 §4.2). Memberships are never part of what
//! is stored of a group: here they leave the resource and the PATCH that they came in.

use std::collections::HashMap;
use std::collections::HashSet;

use serde_json::Map;
use serde_json::Value;

use crate::scim::filter::Filter;
use crate::scim::filter::eval::member;
use crate::scim::schema::ResourceKind;

/// The attribute's name.
pub const MEMBERS: &str = ResourceKind::Group.memberships();

/// One member as it was sent. Whether there is such a resource is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The member's id: `value`, or else what `$ref` ends with. Empty when neither names anybody; no
    /// resource has such an id.
    pub value: String,
    /// What the member is said to be, by `type` or else by `$ref`. A hint: clients are often wrong.
    pub kind: Option<ResourceKind>,
}

/// One step of a PATCH on the members of a group. No id is in a step twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberStep {
    /// These become members; who is one already stays one.
    Add(Vec<Member>),
    /// These are the members, and nobody else. Never empty.
    Set(Vec<Member>),
    /// Those with these ids are members no longer; who is none stays none.
    Remove(Vec<String>),
    /// Nobody is a member.
    Clear,
    /// Those that the filter matches are members no longer.
    RemoveMatching(Box<Filter>),
}

impl Member {
    /// The members that a list names, in its order, each once.
    pub fn list(value: &Value) -> Vec<Self> {
        let elements = match value {
            Value::Array(elements) => elements.as_slice(),
            single => std::slice::from_ref(single),
        };
        distinct(elements.iter().map(Self::of).collect())
    }

    /// The member that an element names.
    pub fn of(element: &Value) -> Self {
        let text = |name| match element {
            Value::Object(parts) => text_of(parts, name),
            _ => None,
        };
        let reference = text("$ref").and_then(referred);
        let value = text("value").or_else(|| reference.map(|(_, id)| id));
        let kind = match text("type") {
            Some(name) => ResourceKind::named(name),
            None => reference.map(|(kind, _)| kind),
        };
        Self {
            value: value.unwrap_or_default().to_owned(),
            kind,
        }
    }
}

impl MemberStep {
    /// Appends a step. Steps of one sort that follow each other become one: a client that removes a
    /// thousand members sends as many operations.
    pub fn push(steps: &mut Vec<Self>, step: Self) {
        match (steps.last_mut(), step) {
            (Some(Self::Add(present)), Self::Add(more)) => present.extend(more),
            (Some(Self::Remove(present)), Self::Remove(more)) => present.extend(more),
            (_, step) => steps.push(step),
        }
    }

    /// The same step with each id once.
    #[must_use]
    pub fn distinct(self) -> Self {
        match self {
            Self::Add(members) => Self::Add(distinct(members)),
            Self::Set(members) => Self::Set(distinct(members)),
            Self::Remove(values) => {
                let mut seen = HashSet::with_capacity(values.len());
                let first = |value: &String| seen.insert(value.clone());
                Self::Remove(values.into_iter().filter(first).collect())
            }
            same @ (Self::Clear | Self::RemoveMatching(_)) => same,
        }
    }
}

/// Each member once, where it was named first, with whatever kind was said of it first.
fn distinct(members: Vec<Member>) -> Vec<Member> {
    let mut kept: Vec<Member> = Vec::with_capacity(members.len());
    let mut places = HashMap::with_capacity(members.len());
    for member in members {
        let place = places.get(&member.value).copied();
        match place.and_then(|place: usize| kept.get_mut(place)) {
            Some(first) => first.kind = first.kind.or(member.kind),
            None => {
                places.insert(member.value.clone(), kept.len());
                kept.push(member);
            }
        }
    }
    kept
}

/// The text of a part.
fn text_of<'v>(parts: &'v Map<String, Value>, name: &str) -> Option<&'v str> {
    member(parts, name)?.as_str()
}

/// What a URI refers to: the last two segments, `Users/<id>` or `Groups/<id>`.
fn referred(uri: &str) -> Option<(ResourceKind, &str)> {
    let mut segments = uri.rsplit('/');
    let id = segments.next().filter(|id| !id.is_empty())?;
    Some((ResourceKind::at(segments.next()?)?, id))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use crate::scim::members::Member;
    use crate::scim::members::MemberStep;
    use crate::scim::schema::ResourceKind;

    /// A member, written short.
    fn member(value: &str, kind: Option<ResourceKind>) -> Member {
        let value = value.to_owned();
        Member { value, kind }
    }

    #[test]
    fn an_element_says_who_and_hints_at_what() {
        use ResourceKind::Group;
        use ResourceKind::User;
        for (element, value, kind) in [
            (json!({"value": "u-1"}), "u-1", None),
            (json!({"value": "u-1", "type": "User"}), "u-1", Some(User)),
            (json!({"Value": "g-1", "TYPE": "group"}), "g-1", Some(Group)),
            (
                json!({"value": "g-1", "$ref": "https://h/scim/a/v2/Groups/g-1"}),
                "g-1",
                Some(Group),
            ),
            (json!({"value": "u", "$ref": "../Users/x"}), "u", Some(User)),
            // What `type` says goes before what `$ref` says, and words that say nothing are no error.
            (
                json!({"value": "u", "$ref": "../Users/u", "type": "Group"}),
                "u",
                Some(Group),
            ),
            (
                json!({"value": "u", "$ref": "../Users/u", "type": "Person"}),
                "u",
                None,
            ),
            (json!({"value": "u", "$ref": "urn:x"}), "u", None),
            (json!({"value": "u", "$ref": "/Devices/u"}), "u", None),
            (json!({"$ref": "../Users/u-2"}), "u-2", Some(User)),
            (json!({"$ref": "../Users/"}), "", None),
            (json!({"type": "User"}), "", Some(User)),
            (Value::Null, "", None),
        ] {
            assert_eq!(Member::of(&element), member(value, kind), "{element}");
        }
    }

    #[test]
    fn a_list_names_each_member_once() {
        let list = json!([
            {"value": "b"}, {"value": "a"}, {"value": "b", "type": "Group"}, {"value": "B"}
        ]);
        let members = [
            member("b", Some(ResourceKind::Group)),
            member("a", None),
            member("B", None),
        ];
        assert_eq!(Member::list(&list), members);
        assert_eq!(Member::list(&json!({"value": "a"})), [member("a", None)]);
    }

    #[test]
    fn steps_of_one_sort_become_one() {
        let add = |values: &[&str]| {
            let members = values.iter().map(|value| member(value, None));
            MemberStep::Add(members.collect())
        };
        let remove = |values: &[&str]| {
            MemberStep::Remove(values.iter().map(|&value| value.to_owned()).collect())
        };
        let mut steps = Vec::new();
        for step in [
            add(&["a"]),
            add(&["b", "a"]),
            remove(&["a"]),
            remove(&["a"]),
            MemberStep::Clear,
            add(&["c"]),
        ] {
            MemberStep::push(&mut steps, step);
        }
        let steps: Vec<_> = steps.into_iter().map(MemberStep::distinct).collect();
        let expected = [
            add(&["a", "b"]),
            remove(&["a"]),
            MemberStep::Clear,
            add(&["c"]),
        ];
        assert_eq!(steps, expected);
    }
}
