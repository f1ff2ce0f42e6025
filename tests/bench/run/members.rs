//! The part of a run that is about groups and their members.

use std::sync::Arc;

use crate::compare::Subject;
use crate::compare::compare;
use crate::failed::Failed;
use crate::groups::Groups;
use crate::operation::About;
use crate::operation::Operation;
use crate::people::People;
use crate::report;
use crate::run::RATE_CONNECTIONS;
use crate::run::Run;

impl Run<'_> {
    /// Gives groups their members, after a look at what all takes without.
    pub(super) async fn gather(&mut self, empty: People) -> Result<(), Failed> {
        if let Some(rollcall) = &mut self.rollcall {
            rollcall.stop().await?;
            rollcall.start().await?;
            self.pid = rollcall.pid();
            self.size.remember(report::WITHOUT_MEMBERS, self.pid);
        }
        let (users, members) = (&self.people, self.plan.members);
        let (groups, gathered) = Groups::gather(&self.target, empty, users, members).await?;
        self.groups = Some(groups);
        gathered.print();
        self.size.memberships = Some(gathered);
        Ok(())
    }

    /// Compares groups with few members and with many.
    pub(super) async fn members(&mut self) -> Result<(), Failed> {
        if !self.plan.compare_members || self.groups.is_none() {
            return Ok(());
        }
        let beside = (self.plan.rate > 0).then(|| {
            self.drive(
                Operation::Get,
                RATE_CONNECTIONS,
                Some(self.plan.rate),
                &self.people,
            )
        });
        let subject = Subject {
            target: &self.target,
            pid: self.pid,
            users: &self.people,
            many: self.plan.members,
            time: self.plan.time,
            beside,
        };
        let found = compare(&subject).await?;
        self.size.members = Some(found);
        Ok(())
    }

    /// Whether there is what an operation is about.
    pub(super) fn can(&self, operation: Operation) -> bool {
        let groups = self.groups.as_ref();
        !operation.of_groups()
            || groups.is_some_and(|groups| {
                let about = operation.about();
                about == About::Users || groups.people(about).is_some()
            })
    }

    /// Whom an operation is about.
    pub(super) fn about(&self, operation: Operation) -> &Arc<People> {
        let groups = self.groups.as_ref();
        let people = groups.and_then(|groups| groups.people(operation.about()));
        people.unwrap_or(&self.people)
    }
}
