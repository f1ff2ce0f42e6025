//! The groups that a server is loaded with: many of a hundred members, fifty around the same people, and a large one.

use std::sync::Arc;

use serde::Serialize;

use crate::failed::Failed;
use crate::load;
use crate::load::Filled;
use crate::operation::About;
use crate::people::People;
use crate::report;
use crate::wire::Target;

/// Groups that each of the crowd is in, beside others.
const CROWD_GROUPS: u64 = 50;
/// Users of the crowd.
const CROWD: u64 = 100;

/// Groups with their members.
#[derive(Clone, Debug)]
pub struct Groups {
    /// Many, of a hundred members.
    all: Arc<People>,
    /// Users that are in fifty groups and more.
    crowd: Arc<People>,
    /// One with very many members.
    large: Option<Arc<People>>,
}

/// What loading memberships took.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Gathered {
    /// How many memberships there are now.
    pub memberships: u64,
    /// Those of the many groups, a hundred by each PATCH.
    pub patched: Filled,
    /// The large group, by one POST.
    pub large: Option<Filled>,
}

impl Gathered {
    /// For people.
    pub fn print(&self) {
        let (count, seconds) = (self.patched.count, self.patched.seconds);
        println!("{count} memberships in {seconds:.1} s, a hundred by each PATCH");
        if let Some(large) = &self.large {
            let json = report::megabytes(large.json_bytes);
            println!(
                "the large group by one POST of {json} in {:.2} s",
                large.seconds
            );
        }
        println!("{} memberships in all", self.memberships);
    }
}

/// Makes `count` groups that are empty. `Ok(Err(reason))` when the server has no groups.
pub async fn empty(
    target: &Target,
    count: u64,
) -> Result<Result<(People, Filled), String>, Failed> {
    if let Some(reason) = load::refusal(target).await? {
        return Ok(Err(reason));
    }
    let nobody = Arc::new(People::new('n')?);
    load::groups(target, 'g', count, &nobody, 0).await.map(Ok)
}

impl Groups {
    /// Gives groups their members out of `users`, and makes the others: the large one with `members` of them.
    pub async fn gather(
        target: &Target,
        empty: People,
        users: &Arc<People>,
        members: u64,
    ) -> Result<(Self, Gathered), Failed> {
        let last = users.id(users.len().saturating_sub(1));
        let all = Arc::new(empty.with_member(last.unwrap_or_default()));
        let patched = load::memberships(target, &all, users).await?;
        let crowd = CROWD.min(users.len());
        load::groups(target, 'c', CROWD_GROUPS, users, crowd).await?;
        let members = members.min(users.len());
        let (mut large, mut filled) = (None, None);
        if members > 0 {
            let (group, took) = load::groups(target, 'l', 1, users, members).await?;
            (large, filled) = (Some(Arc::new(group)), Some(took));
        }
        let gathered = Gathered {
            memberships: patched.count + CROWD_GROUPS * crowd + members,
            patched,
            large: filled,
        };
        let crowd = Arc::new(users.first(crowd));
        Ok((Self { all, crowd, large }, gathered))
    }

    /// Whom requests are about, but for users.
    pub fn people(&self, about: About) -> Option<&Arc<People>> {
        match about {
            About::Users => None,
            About::Crowd => Some(&self.crowd),
            About::Groups => Some(&self.all),
            About::Large => self.large.as_ref(),
        }
    }
}
