//! What happened: the story of a user or group, what operators did, and whether both are what was
//! written.

use serde_json::Value;

use crate::admin::Admin;
use crate::admin::AdminError;
use crate::admin::Page;
use crate::admin::Problem;
use crate::audit::entry::AuditEntry;
use crate::audit::history::Action;
use crate::audit::history::HistoryEntry;
use crate::base::actor::Actor;
use crate::base::ident::ResourceId;
use crate::scim::schema::ResourceKind;
use crate::scim::text::fold;
use crate::store::change::Index;
use crate::store::chronicle;
use crate::store::error::Unread;
use crate::store::row::DirectoryRow;
use crate::store::view::Cached;

/// Entries on a page when nothing else is asked for.
const PAGE_DEFAULT: usize = 100;
/// Entries on a page at most.
const PAGE_MAX: usize = 500;

/// A part of a story that is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryRequest<'a> {
    /// The directory's name; `None` for whichever knows the resource.
    pub directory: Option<&'a str>,
    /// The resource's id, or the name that a living one has.
    pub name: &'a str,
    /// Entries on the page: 100 when not said, 500 at most.
    pub limit: Option<usize>,
    /// Only entries before this one: `next` of the page before.
    pub before: Option<u64>,
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ActorItem {
    /// A client of the SCIM interface.
    Token {
        /// The token's id.
        id: String,
        /// What the operator calls the token, as long as it is there.
        label: Option<String>,
    },
    /// A person at the command line.
    Operator {
        /// The name that the command stated; nobody has checked it.
        stated_name: String,
        /// Whether it was root.
        root: bool,
    },
    /// Rollcall itself.
    System,
}

/// One change of a user or group.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HistoryItem {
    /// Counts the directory's entries from 1 without a gap.
    pub number: u64,
    /// When.
    pub at: String,
    /// The directory's name.
    pub directory: String,
    /// The resource's id.
    pub id: String,
    /// `created`, `updated`, `deleted`
    pub action: &'static str,
    /// The resource's revision after it; a deletion counts as one.
    pub revision: u64,
    /// Who did it.
    pub actor: ActorItem,
    /// The request that did it, as logs and answers name it.
    pub request: Option<String>,
    /// The attributes that changed, each with `old` and `new`; `None` when they were erased.
    pub changes: Option<Value>,
    /// What was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<Value>,
}

/// One act of an operator.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AuditItem {
    /// Counts the appliance's entries from 1 without a gap.
    pub number: u64,
    /// When.
    pub at: String,
    /// Who did it.
    pub actor: ActorItem,
    /// What was done: `token.create`.
    pub action: String,
    /// What it was done to.
    pub target: String,
    /// More; `None` when it was erased.
    pub detail: Option<Value>,
}

/// Whether audit and histories are what was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Verification {
    /// Whether nothing is wrong.
    pub sound: bool,
    /// The audit, then the history of each directory, by name.
    pub items: Vec<VerifiedItem>,
}

/// Whether one of them is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct VerifiedItem {
    /// `audit`, `history`
    pub what: &'static str,
    /// The directory's name.
    pub directory: Option<String>,
    /// Files that were read.
    pub files: u64,
    /// Entries that were read.
    pub entries: u64,
    /// Entries among them whose content was erased.
    pub erased: u64,
    /// The last entry.
    pub last: u64,
    /// How many problems there are.
    pub problems_found: u64,
    /// The first thousand of them.
    pub problems: Vec<VerifyProblem>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct VerifyProblem {
    /// The file.
    pub file: String,
    /// The entry, when one can be named.
    pub entry: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl Admin {
    /// What happened to a user, newest first.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Conflict` when several directories have one, `Internal` when files cannot be read.
    pub fn user_history(
        &self,
        request: HistoryRequest<'_>,
    ) -> Result<Page<HistoryItem>, AdminError> {
        self.story(ResourceKind::User, Index::UserName, request)
    }

    /// What happened to a group, newest first.
    ///
    /// # Errors
    ///
    /// As [`Admin::user_history`].
    pub fn group_history(
        &self,
        request: HistoryRequest<'_>,
    ) -> Result<Page<HistoryItem>, AdminError> {
        self.story(ResourceKind::Group, Index::DisplayName, request)
    }

    /// What operators did, newest first: `limit` entries (100 when not said, 500 at most) before
    /// entry `before`.
    ///
    /// # Errors
    ///
    /// `Internal` when files cannot be read.
    pub fn audit_list(
        &self,
        limit: Option<usize>,
        before: Option<u64>,
    ) -> Result<Page<AuditItem>, AdminError> {
        let page = self.store.audit(before, count(limit));
        let page = page.map_err(|error| unread(&error))?;
        let items = page.entries.into_iter().map(|entry| self.audit_item(entry));
        Ok(Page {
            items: items.collect(),
            next: page.next.map(|next| next.to_string()),
        })
    }

    /// Verifies the audit and the history of every directory.
    ///
    /// # Errors
    ///
    /// `Internal` when files cannot be read at all.
    pub fn audit_verify(&self) -> Result<Verification, AdminError> {
        let audit = self.store.audit_verify();
        let audit = audit.map_err(|error| unread(&error))?;
        let mut items = vec![verified("audit", None, audit)];
        for row in self.store.directories() {
            let history = self.store.history_verify(row.id);
            let history = history.map_err(|error| unread(&error))?;
            items.push(verified("history", Some(row.name.to_string()), history));
        }
        Ok(Verification {
            sound: items.iter().all(|item| item.problems_found == 0),
            items,
        })
    }

    /// A page of a resource's story.
    fn story(
        &self,
        kind: ResourceKind,
        index: Index,
        request: HistoryRequest<'_>,
    ) -> Result<Page<HistoryItem>, AdminError> {
        let mut candidates = Vec::new();
        for row in self.within(request.directory)? {
            let name = fold(request.name);
            let named = self.store.lookup(row.id, kind, index, &name);
            // Who has the name now goes before who had it last.
            let had = self.store.deleted_by(row.id, kind, index, &name);
            let had = had.filter(|_deleted| named.is_empty());
            candidates.extend(named.into_iter().map(|id| (row.clone(), id)));
            candidates.extend(had.map(|(id, _row)| (row.clone(), id)));
            let id = ResourceId::parse(request.name);
            if let Some(id) = id
                && self.is_known(&row, kind, id)?
            {
                candidates.push((row, id));
            }
        }
        let noun = kind.name().to_ascii_lowercase();
        let Some((row, id)) = candidates.pop() else {
            return Err(AdminError::NotFound(Problem::new(
                format!("nothing is known of a {noun} {:?}", request.name),
                format!(
                    "a {noun} is named by its id or its whole {}, one that was deleted long ago by its id only",
                    index.attribute()
                ),
                format!("rollcall {noun} list"),
            )));
        };
        if !candidates.is_empty() {
            let last = (row, id);
            let all = candidates.iter().chain([&last]);
            let ids: Vec<_> = all
                .take(10)
                .map(|(row, id)| format!("{id} in {}", row.name))
                .collect();
            return Err(AdminError::Conflict(Problem::new(
                format!("several {noun}s are called {:?}", request.name),
                format!("there are {}", ids.join(", ")),
                format!("rollcall {noun} history ID      or name the directory with --directory"),
            )));
        }
        let page = self
            .store
            .history(row.id, kind, id, request.before, count(request.limit));
        let page = page.map_err(|error| unread(&error))?;
        let items = page.entries.into_iter();
        Ok(Page {
            items: items.map(|entry| self.history_item(&row, &entry)).collect(),
            next: page.next.map(|next| next.to_string()),
        })
    }

    /// Whether a directory has, or once had, the resource of that id.
    fn is_known(
        &self,
        row: &DirectoryRow,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<bool, AdminError> {
        if self.store.resource_cached(row.id, kind, id) != Cached::Absent {
            return Ok(true);
        }
        let page = self.store.history(row.id, kind, id, None, 1);
        let page = page.map_err(|error| unread(&error))?;
        Ok(!page.entries.is_empty())
    }

    /// A history entry, printed.
    fn history_item(&self, row: &DirectoryRow, entry: &HistoryEntry) -> HistoryItem {
        let mut changes: Option<Value> = serde_json::from_slice(&entry.payload).ok();
        let mut resource = None;
        if entry.action == Action::Deleted
            && let Some(Value::Object(members)) = &mut changes
        {
            resource = members.remove("deleted");
        }
        HistoryItem {
            number: entry.number,
            at: entry.at.to_string(),
            directory: row.name.to_string(),
            id: entry.id.to_string(),
            action: match entry.action {
                Action::Created => "created",
                Action::Updated => "updated",
                Action::Deleted => "deleted",
            },
            revision: entry.revision.0,
            actor: self.actor_item(&entry.actor),
            request: entry.request.map(|request| request.to_string()),
            changes,
            resource,
        }
    }

    /// An audit entry, printed.
    fn audit_item(&self, entry: AuditEntry) -> AuditItem {
        AuditItem {
            number: entry.number,
            at: entry.at.to_string(),
            actor: self.actor_item(&entry.draft.actor),
            action: entry.draft.action,
            target: entry.draft.target,
            detail: serde_json::from_str(&entry.draft.detail).ok(),
        }
    }

    /// Who did something, printed.
    fn actor_item(&self, actor: &Actor) -> ActorItem {
        match actor {
            Actor::Token(id) => ActorItem::Token {
                id: id.to_string(),
                label: self.store.token(*id).map(|row| row.label.clone()),
            },
            Actor::Operator { root, stated_name } => ActorItem::Operator {
                stated_name: stated_name.to_string(),
                root: *root,
            },
            Actor::System => ActorItem::System,
        }
    }
}

/// How many entries a page has.
fn count(limit: Option<usize>) -> usize {
    limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX)
}

/// What verifying a series came to.
fn verified(
    what: &'static str,
    directory: Option<String>,
    report: chronicle::Report,
) -> VerifiedItem {
    let problems = report.problems.into_iter().map(|problem| VerifyProblem {
        file: problem.file.display().to_string(),
        entry: problem.entry,
        what: problem.what,
    });
    VerifiedItem {
        what,
        directory,
        files: report.files,
        entries: report.entries,
        erased: report.erased,
        last: report.last,
        problems_found: report.problems_found,
        problems: problems.collect(),
    }
}

/// The error for files that cannot be read.
fn unread(error: &Unread) -> AdminError {
    AdminError::Internal(Problem::new(
        "what happened cannot be told",
        error.to_string(),
        "look at the disk (dmesg, smartctl) and at who may read the state directory",
    ))
}
