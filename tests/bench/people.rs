//! The users and groups that a server is loaded with: their bodies, and what is remembered of them.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use ring::rand::SecureRandom;
use serde_json::Value;
use serde_json::json;

use crate::failed::Failed;

/// A set of users, or of groups. Names follow from numbers, so only ids are kept: some 40 bytes a user.
#[derive(Debug)]
pub struct People {
    /// What names begin with; sets with different letters never meet in a filter `sw`.
    letter: char,
    /// Makes the names of this run differ from those of another.
    tag: String,
    /// The ids that the server gave, by number.
    ids: Ids,
    /// Numbers new users, and values that must differ from what is there.
    next: AtomicU64,
    /// A user that these groups can take in.
    member: Option<String>,
}

impl People {
    /// Nobody yet.
    pub fn new(letter: char) -> Result<Self, Failed> {
        let mut random = [0; 4];
        ring::rand::SystemRandom::new()
            .fill(&mut random)
            .map_err(|_unspecified| Failed::new("no random bytes"))?;
        Ok(Self {
            letter,
            tag: format!("{:08x}", u32::from_be_bytes(random)),
            ids: Ids::default(),
            next: AtomicU64::new(0),
            member: None,
        })
    }

    /// These, with numbers from 0 on once more: each of them is to be the subject of one request.
    pub fn counted_again(mut self) -> Self {
        *self.next.get_mut() = 0;
        self
    }

    /// These as groups, which take in and lose the user `member`.
    pub fn with_member(mut self, member: &str) -> Self {
        self.member = Some(member.to_owned());
        self
    }

    /// The user that these groups can take in.
    pub fn member(&self) -> Option<&str> {
        self.member.as_deref()
    }

    /// The users with these ids, by number, and names as of `self`.
    pub fn with_ids(mut self, ids: Ids) -> Self {
        *self.next.get_mut() = ids.len();
        self.ids = ids;
        self
    }

    /// The first `count` of them, as users of their own right.
    pub fn first(&self, count: u64) -> Self {
        let mut ids = Ids::default();
        for id in (0..count).map_while(|number| self.id(number)) {
            ids.push(id);
        }
        Self {
            letter: self.letter,
            tag: self.tag.clone(),
            ids,
            next: AtomicU64::new(0),
            member: None,
        }
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.ids.len()
    }

    /// The id of user `number`.
    pub fn id(&self, number: u64) -> Option<&str> {
        self.ids.get(number)
    }

    /// A number that was never given before.
    pub fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// `externalId` of user `number`, and the part of its name before the `@`.
    pub fn external_id(&self, number: u64) -> String {
        format!("{}{number}.{}", self.letter, self.tag)
    }

    /// `userName` of user `number`.
    pub fn name(&self, number: u64) -> String {
        format!("{}{number}.{}@northbridge.example", self.letter, self.tag)
    }

    /// The beginning of a name that few users share: eleven, when there are many.
    pub fn prefix(&self, random: u64) -> String {
        // Numbers with one and two more digits share it, those with three more are beyond the last.
        let (from, to) = (self.len() / 100, self.len() / 10);
        let number = random.checked_rem(to - from).unwrap_or(0) + from;
        format!("{}{number}", self.letter)
    }

    /// The body of a POST, about as large as a well-filled user of Entra.
    pub fn body(&self, number: u64, display_name: &str) -> Value {
        let name = self.name(number);
        json!({
            "schemas": [
                "urn:ietf:params:scim:schemas:core:2.0:User",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
            ],
            "externalId": self.external_id(number),
            "userName": name,
            "active": true,
            "displayName": display_name,
            "title": "Lens designer",
            "preferredLanguage": "sv-SE",
            "emails": [{"primary": true, "type": "work", "value": name}],
            "addresses": [{"type": "work", "streetAddress": "Storgatan 7", "locality": "Umeå", "postalCode": "903 26", "country": "SE"}],
            "phoneNumbers": [{"type": "work", "value": "+46900000001"}, {"type": "mobile", "value": "+46700000001"}],
            "name": {"formatted": format!("Load Person {number}"), "familyName": "Person", "givenName": "Load"},
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
                "employeeNumber": number.to_string(), "department": "Optics", "costCenter": "C-117",
                "manager": {"value": "5b1f8a4e-0000-4000-8000-6c7d8e9f0a1b"},
            },
        })
    }

    /// The body of a POST of user `number`.
    pub fn new_user(&self, number: u64) -> Value {
        self.body(number, &format!("Load Person {number}"))
    }

    /// The body of a POST of group `number`.
    pub fn new_group(&self, number: u64, members: &[&str]) -> Value {
        let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "externalId": self.external_id(number),
            "displayName": self.external_id(number),
            "members": members,
        })
    }
}

/// Ids by number, one after the other in one text.
#[derive(Debug, Default)]
pub struct Ids {
    /// All of them.
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Ids {
    /// Adds the id of the next number.
    pub fn push(&mut self, id: &str) {
        self.text.push_str(id);
        self.ends.push(self.text.len());
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        u64::try_from(self.ends.len()).unwrap_or(u64::MAX)
    }

    /// The id of that number.
    pub fn get(&self, number: u64) -> Option<&str> {
        let number = usize::try_from(number).ok()?;
        let end = *self.ends.get(number)?;
        let before = number
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        self.text.get(before.copied().unwrap_or(0)..end)
    }
}

/// A number that looks like chance and is the same in each run (splitmix64).
pub const fn scatter(number: u64) -> u64 {
    let value = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
