//! Users and groups as an operator looks at them. Reading only: the identity provider owns them.

use std::error::Error;
use std::sync::Arc;

use serde_json::Value;

use crate::admin::Admin;
use crate::admin::AdminError;
use crate::admin::Page;
use crate::admin::Problem;
use crate::base::ident::ResourceId;
use crate::directory::Directory;
use crate::directory::Stored;
use crate::directory::error::DirectoryError;
use crate::directory::members;
use crate::directory::search;
use crate::directory::search::Search;
use crate::scim::filter::Filter;
use crate::scim::filter::FilterLimits;
use crate::scim::resource::memberships;
use crate::scim::schema::ResourceKind;
use crate::scim::text::fold;
use crate::store::change::Index;
use crate::store::row::DirectoryRow;

/// Items on a page when nothing else is asked for.
const PAGE_DEFAULT: usize = 100;
/// Members of a group that are shown.
const MEMBERS_SHOWN: usize = 100;
/// Items on a page at most.
const PAGE_MAX: usize = 500;

/// A list that is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListRequest<'a> {
    /// The directory's name; `None` for all directories.
    pub directory: Option<&'a str>,
    /// Only those that match: `ATTRIBUTE eq "VALUE"` with one of the indexed attributes.
    pub filter: Option<&'a str>,
    /// Items on the page: 100 when not said, 500 at most.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub after: Option<&'a str>,
}

/// A user in a list. Attributes have their SCIM names.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserItem {
    /// The directory's name.
    pub directory: String,
    /// `id`.
    pub id: String,
    /// `userName`.
    pub user_name: Option<String>,
    /// `displayName`.
    pub display_name: Option<String>,
    /// `externalId`.
    pub external_id: Option<String>,
    /// `emails.value` of the primary address, or of the first.
    pub email: Option<String>,
    /// `active`.
    pub active: bool,
    /// `meta.created`.
    pub created: String,
    /// `meta.lastModified`.
    pub last_modified: String,
}

/// A group in a list. Attributes have their SCIM names.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupItem {
    /// The directory's name.
    pub directory: String,
    /// `id`.
    pub id: String,
    /// `displayName`.
    pub display_name: Option<String>,
    /// `externalId`.
    pub external_id: Option<String>,
    /// How many members it has itself, not counting those of groups in it.
    pub members: usize,
    /// `meta.created`.
    pub created: String,
    /// `meta.lastModified`.
    pub last_modified: String,
}

/// One user or group, whole.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceDetail {
    /// The directory's name.
    pub directory: String,
    /// `id`.
    pub id: String,
    /// How often it has changed, its creation included.
    pub revision: u64,
    /// `meta.created`.
    pub created: String,
    /// `meta.lastModified`.
    pub last_modified: String,
    /// How many members it has itself; of a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<usize>,
    /// All its attributes; of its members the first hundred, by id.
    pub resource: Value,
}

/// A resource that was found.
struct Found {
    /// Its directory.
    directory: Arc<DirectoryRow>,
    /// It.
    stored: Stored,
}

impl Admin {
    /// Users, by directory and age.
    ///
    /// # Errors
    ///
    /// `NotFound` for the directory, `Invalid` for `filter` or `after`, `Internal` when a record cannot be read.
    pub fn user_list(&self, request: ListRequest<'_>) -> Result<Page<UserItem>, AdminError> {
        self.list(ResourceKind::User, request, |found| {
            let tree = found.tree()?;
            Ok(UserItem {
                directory: found.directory.name.to_string(),
                id: found.stored.id.to_string(),
                user_name: text(&tree, "userName"),
                display_name: text(&tree, "displayName"),
                external_id: text(&tree, "externalId"),
                email: email(&tree),
                // RFC 7643 has no default; here a user is active unless said otherwise.
                active: tree.get("active").and_then(Value::as_bool).unwrap_or(true),
                created: found.stored.created.to_string(),
                last_modified: found.stored.modified.to_string(),
            })
        })
    }

    /// Groups, by directory and age.
    ///
    /// # Errors
    ///
    /// As [`Admin::user_list`].
    pub fn group_list(&self, request: ListRequest<'_>) -> Result<Page<GroupItem>, AdminError> {
        self.list(ResourceKind::Group, request, |found| {
            let tree = found.tree()?;
            Ok(GroupItem {
                directory: found.directory.name.to_string(),
                id: found.stored.id.to_string(),
                display_name: text(&tree, "displayName"),
                external_id: text(&tree, "externalId"),
                members: self.store.member_count(found.directory.id, found.stored.id),
                created: found.stored.created.to_string(),
                last_modified: found.stored.modified.to_string(),
            })
        })
    }

    /// One user, by `id` or `userName`, of one directory or of whichever has it.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Conflict` when several directories have one, `Internal` when the record cannot be read.
    pub fn user_show(
        &self,
        directory: Option<&str>,
        name: &str,
    ) -> Result<ResourceDetail, AdminError> {
        self.show(ResourceKind::User, Index::UserName, directory, name)
    }

    /// One group, by `id` or `displayName`, of one directory or of whichever has it.
    ///
    /// # Errors
    ///
    /// As [`Admin::user_show`].
    pub fn group_show(
        &self,
        directory: Option<&str>,
        name: &str,
    ) -> Result<ResourceDetail, AdminError> {
        self.show(ResourceKind::Group, Index::DisplayName, directory, name)
    }

    /// A page of resources over one directory or all, each made into an item.
    fn list<T>(
        &self,
        kind: ResourceKind,
        request: ListRequest<'_>,
        item: impl Fn(Found) -> Result<T, AdminError>,
    ) -> Result<Page<T>, AdminError> {
        let offset = request.after.map_or(Ok(0), parse_after)?;
        let limit = request.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let mut items = Vec::new();
        // What is left to pass over and to take, while the directories go by as if they were one list.
        let (mut skip, mut take, mut total) = (offset, limit, 0_usize);
        for row in self.within(request.directory)? {
            let directory = self.directories.open(Arc::clone(&row));
            let filter = filter(&directory, kind, request.filter)?;
            let search = Search::new(kind, filter, self.tenant_url(&row.name));
            let page = search::Page {
                offset: skip,
                count: take,
            };
            let found = directory
                .search(&search, page)
                .map_err(|error| failed(&error))?;
            total = total.saturating_add(found.total);
            skip = skip.saturating_sub(found.total);
            take = take.saturating_sub(found.resources.len());
            for stored in found.resources {
                items.push(item(Found {
                    directory: Arc::clone(&row),
                    stored,
                })?);
            }
        }
        let end = offset.saturating_add(limit);
        Ok(Page {
            items,
            next: (end < total).then(|| format!("o{end}")),
        })
    }

    /// The one resource of that id or name.
    fn show(
        &self,
        kind: ResourceKind,
        index: Index,
        directory: Option<&str>,
        name: &str,
    ) -> Result<ResourceDetail, AdminError> {
        let mut all = Vec::new();
        for directory in self.within(directory)? {
            let mut ids: Vec<_> = ResourceId::parse(name).into_iter().collect();
            ids.extend(self.store.lookup(directory.id, kind, index, &fold(name)));
            for id in ids {
                all.extend(self.find(&directory, kind, id)?);
            }
        }
        let noun = kind.name().to_ascii_lowercase();
        let Some(found) = all.pop() else {
            let gone = self.deleted(kind, index, directory, name)?;
            return Err(AdminError::NotFound(gone.unwrap_or_else(|| {
                Problem::new(
                    format!("no {noun} {name:?}"),
                    format!(
                        "a {noun} is named by its id or its whole {}",
                        index.attribute()
                    ),
                    format!("rollcall {noun} list"),
                )
            })));
        };
        if !all.is_empty() {
            let others = all.iter().chain([&found]).take(10);
            let ids: Vec<_> = others
                .map(|one| format!("{} in {}", one.stored.id, one.directory.name))
                .collect();
            return Err(AdminError::Conflict(Problem::new(
                format!(
                    "{} {noun}s are called {name:?}",
                    all.len().saturating_add(1)
                ),
                format!("there are {}", ids.join(", ")),
                format!("rollcall {noun} show ID      or name the directory with --directory"),
            )));
        }
        let mut resource = found.tree()?;
        let members = self.put_memberships(&found, kind, &mut resource);
        Ok(ResourceDetail {
            resource,
            members,
            directory: found.directory.name.to_string(),
            id: found.stored.id.to_string(),
            revision: found.stored.revision.0,
            created: found.stored.created.to_string(),
            last_modified: found.stored.modified.to_string(),
        })
    }

    /// Puts the groups of a user, or the first members of a group, into its attributes. Returns how
    /// many members a group has.
    fn put_memberships(
        &self,
        found: &Found,
        kind: ResourceKind,
        resource: &mut Value,
    ) -> Option<usize> {
        let (directory, id) = (found.directory.id, found.stored.id);
        let base = self.tenant_url(&found.directory.name);
        let tree = resource.as_object_mut()?;
        match kind {
            ResourceKind::User => {
                let groups = self.store.groups_of(directory, id);
                let groups: Vec<_> = groups.iter().map(members::group_of).collect();
                memberships::put_groups(tree, &base, &groups);
                None
            }
            ResourceKind::Group => {
                let some = self.store.first_members(directory, id, MEMBERS_SHOWN);
                let some: Vec<_> = some.iter().map(members::member_of).collect();
                memberships::put_members(tree, &base, &some);
                Some(self.store.member_count(directory, id))
            }
        }
    }

    /// What to say of a resource of that id or name that was deleted and can still be restored.
    fn deleted(
        &self,
        kind: ResourceKind,
        index: Index,
        directory: Option<&str>,
        name: &str,
    ) -> Result<Option<Problem>, AdminError> {
        let noun = kind.name().to_ascii_lowercase();
        for directory in self.within(directory)? {
            let by_id = ResourceId::parse(name);
            let by_id = by_id.and_then(|id| Some((id, self.store.deleted(directory.id, id)?)));
            let found = by_id.filter(|(_id, row)| row.kind == kind).or_else(|| {
                let key = fold(name);
                self.store.deleted_by(directory.id, kind, index, &key)
            });
            if let Some((id, row)) = found {
                return Ok(Some(Problem::new(
                    format!("no {noun} {name:?} any more"),
                    format!(
                        "the {noun} {id} was deleted in {} at {}",
                        directory.name, row.at
                    ),
                    format!("rollcall {noun} history {id}      (tells by whom, and what it was)"),
                )));
            }
        }
        Ok(None)
    }

    /// One directory, or all by name.
    pub(in crate::admin) fn within(
        &self,
        directory: Option<&str>,
    ) -> Result<Vec<Arc<DirectoryRow>>, AdminError> {
        match directory {
            Some(name) => self.directory(name).map(|row| vec![row]),
            None => Ok(self.store.directories()),
        }
    }

    /// The resource of that id.
    fn find(
        &self,
        directory: &Arc<DirectoryRow>,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<Found>, AdminError> {
        let stored = self
            .directories
            .open(Arc::clone(directory))
            .read(kind, id, false)
            .map_err(|error| failed(&error))?;
        Ok(stored.map(|stored| Found {
            directory: Arc::clone(directory),
            stored,
        }))
    }
}

impl Found {
    /// Its attributes.
    fn tree(&self) -> Result<Value, AdminError> {
        serde_json::from_slice(self.stored.body()).map_err(|error| {
            AdminError::Internal(Problem::new(
                format!("the record {} is not JSON", self.stored.id),
                error.to_string(),
                "systemctl restart rollcall      (the store repairs itself from its log at start)",
            ))
        })
    }
}

/// The filter as the directory reads it; an operator may write what the directory's clients may.
fn filter(
    directory: &Directory,
    kind: ResourceKind,
    text: Option<&str>,
) -> Result<Option<Filter>, AdminError> {
    let Some(text) = text else { return Ok(None) };
    let parsed = Filter::parse(
        text,
        directory.registry(),
        kind,
        FilterLimits::DEFAULT,
        &mut Vec::new(),
    );
    parsed.map(Some).map_err(|error| {
        AdminError::Invalid(Problem::new(
            format!("cannot filter by {text:?}"),
            error.detail(),
            "--filter 'userName eq \"joy@corp.example\"'      (RFC 7644 §3.4.2.2)",
        ))
    })
}

/// The error for resources that cannot be read.
fn failed(error: &DirectoryError) -> AdminError {
    AdminError::Internal(Problem::new(
        "the record cannot be read",
        error
            .source()
            .map_or_else(|| error.to_string(), ToString::to_string),
        "systemctl restart rollcall      (the store repairs itself from its log at start)",
    ))
}

/// Where a page begins.
fn parse_after(after: &str) -> Result<usize, AdminError> {
    let offset = after
        .strip_prefix('o')
        .and_then(|offset| offset.parse().ok());
    offset.ok_or_else(|| {
        AdminError::Invalid(Problem::new(
            format!("{after:?} is not the mark of a page"),
            "a mark is what the page before gave as next",
            "leave it out to begin with the first page",
        ))
    })
}

/// The string at `name`.
fn text(tree: &Value, name: &str) -> Option<String> {
    tree.get(name)?.as_str().map(str::to_owned)
}

/// The primary address, or else the first.
fn email(tree: &Value) -> Option<String> {
    let emails = tree.get("emails")?.as_array()?;
    let is_primary = |email: &&Value| email.get("primary").and_then(Value::as_bool) == Some(true);
    let email = emails.iter().find(is_primary).or_else(|| emails.first())?;
    text(email, "value")
}
