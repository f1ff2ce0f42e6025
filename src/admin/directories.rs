//! Directories: create, list, show, enable, disable, delete.

use serde_json::json;

use crate::admin::Admin;
use crate::admin::AdminError;
use crate::admin::Page;
use crate::admin::Problem;
use crate::admin::audit;
use crate::base::actor::Actor;
use crate::base::ident::DirectoryId;
use crate::base::ident::DirectoryName;
use crate::base::ident::Revision;
use crate::scim::schema::Profile;
use crate::scim::schema::ResourceKind;
use crate::store::change::Change;
use crate::store::change::Expect;
use crate::store::error::CommitError;
use crate::store::error::Reject;
use crate::store::row::DirectoryRow;

/// A directory to be created.
#[derive(Clone, Copy, Debug)]
pub struct NewDirectory<'a> {
    /// Its name.
    pub name: &'a str,
    /// The name of its profile; `None` for the default, `entra`.
    pub profile: Option<&'a str>,
    /// Whether it is to hold no groups.
    pub users_only: bool,
}

/// Answer to `directory create`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DirectoryCreated {
    /// Its name.
    pub name: String,
    /// What to paste in Entra.
    pub tenant_url: String,
}

/// A directory as it is listed and shown.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DirectoryItem {
    /// Its name.
    pub name: String,
    /// What to paste in Entra.
    pub tenant_url: String,
    /// Its profile.
    pub profile: &'static str,
    /// Whether it holds no groups.
    pub users_only: bool,
    /// Whether it answers.
    pub enabled: bool,
    /// When it was created.
    pub created: String,
    /// How many users it holds.
    pub users: usize,
    /// How many groups it holds.
    pub groups: usize,
    /// How many of its tokens work.
    pub tokens_live: usize,
}

/// Answer to `directory enable` and `disable`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DirectoryChange {
    /// Its name.
    pub name: String,
    /// Whether it answers now.
    pub enabled: bool,
    /// Whether it did otherwise before.
    pub changed: bool,
}

/// What `directory delete` would remove, or has removed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DirectoryDeletion {
    /// Its name: what the operator types to confirm.
    pub name: String,
    /// Users in it.
    pub users: usize,
    /// Groups in it.
    pub groups: usize,
    /// Its tokens that work. Clients that use them are refused from then on.
    pub tokens_live: usize,
    /// Whether it has happened.
    pub deleted: bool,
}

impl Admin {
    /// Creates a directory.
    ///
    /// # Errors
    ///
    /// `Invalid` for a bad name or profile, `Conflict` when the name is taken.
    pub fn directory_create(
        &self,
        new: NewDirectory<'_>,
        actor: &Actor,
    ) -> Result<DirectoryCreated, AdminError> {
        let name = DirectoryName::parse(new.name).map_err(|error| {
            AdminError::Invalid(Problem::new(
                format!("{:?} cannot be a directory's name", new.name),
                format!("{error}: it becomes part of the Tenant URL"),
                "rollcall directory create entra",
            ))
        })?;
        let profile = match new.profile {
            None => Profile::default(),
            Some(text) => Profile::parse(text).ok_or_else(|| {
                AdminError::Invalid(Problem::new(
                    format!("no profile {text:?}"),
                    "there are two: entra takes what Microsoft Entra ID sends, strict what the RFCs allow",
                    format!("rollcall directory create {name} --profile entra"),
                ))
            })?,
        };
        let _turn = self.take_turn();
        let row = DirectoryRow {
            id: DirectoryId(0),
            name: name.clone(),
            profile,
            users_only: new.users_only,
            enabled: true,
            created: self.clock.now(),
            revision: Revision::FIRST,
        };
        let detail = json!({"profile": profile.name(), "users_only": new.users_only});
        let put = Change::PutDirectory {
            row,
            expect: Expect::Absent,
        };
        let entry = audit(
            actor,
            "directory.create",
            format!("directory {name}"),
            &detail,
        );
        self.commit(put, entry).map_err(|error| match error {
            CommitError::Rejected(Reject::NameTaken | Reject::Exists) => {
                AdminError::Conflict(Problem::new(
                    format!("directory \"{name}\" exists already"),
                    "a directory's name is part of its Tenant URL, so there can be one of each",
                    format!("rollcall directory show {name}"),
                ))
            }
            error => AdminError::of_commit(&error),
        })?;
        Ok(DirectoryCreated {
            tenant_url: self.tenant_url(&name),
            name: name.to_string(),
        })
    }

    /// All directories, by name.
    pub fn directory_list(&self) -> Page<DirectoryItem> {
        Page::whole(
            self.store
                .directories()
                .iter()
                .map(|row| self.directory_item(row))
                .collect(),
        )
    }

    /// One directory.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub fn directory_show(&self, name: &str) -> Result<DirectoryItem, AdminError> {
        self.directory(name).map(|row| self.directory_item(&row))
    }

    /// Lets a directory answer again.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub fn directory_enable(
        &self,
        name: &str,
        actor: &Actor,
    ) -> Result<DirectoryChange, AdminError> {
        self.set_enabled(name, true, actor)
    }

    /// Makes a directory refuse every request with 403, until it is enabled again. Nothing is removed.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub fn directory_disable(
        &self,
        name: &str,
        actor: &Actor,
    ) -> Result<DirectoryChange, AdminError> {
        self.set_enabled(name, false, actor)
    }

    /// Deletes a directory with all it holds. It is invisible at once and its name is free.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub fn directory_delete(
        &self,
        name: &str,
        actor: &Actor,
    ) -> Result<DirectoryDeletion, AdminError> {
        let _turn = self.take_turn();
        let row = self.directory(name)?;
        let deletion = self.deletion(&row, true);
        let detail = json!({
            "users": deletion.users,
            "groups": deletion.groups,
            "tokens_live": deletion.tokens_live,
        });
        let target = format!("directory {}", row.name);
        self.commit(
            Change::DeleteDirectory { id: row.id },
            audit(actor, "directory.delete", target, &detail),
        )
        .map_err(|error| AdminError::of_commit(&error))?;
        Ok(deletion)
    }

    /// Enables or disables a directory; does nothing when it is so already.
    fn set_enabled(
        &self,
        name: &str,
        enabled: bool,
        actor: &Actor,
    ) -> Result<DirectoryChange, AdminError> {
        let _turn = self.take_turn();
        let row = self.directory(name)?;
        let changed = row.enabled != enabled;
        if changed {
            let put = Change::PutDirectory {
                expect: Expect::Revision(row.revision),
                row: DirectoryRow {
                    enabled,
                    revision: row.revision.next(),
                    ..DirectoryRow::clone(&row)
                },
            };
            let action = if enabled {
                "directory.enable"
            } else {
                "directory.disable"
            };
            let target = format!("directory {}", row.name);
            self.commit(put, audit(actor, action, target, &json!({})))
                .map_err(|error| AdminError::of_commit(&error))?;
        }
        Ok(DirectoryChange {
            name: row.name.to_string(),
            enabled,
            changed,
        })
    }

    /// What there is to say of a directory.
    pub(super) fn directory_item(&self, row: &DirectoryRow) -> DirectoryItem {
        DirectoryItem {
            name: row.name.to_string(),
            tenant_url: self.tenant_url(&row.name),
            profile: row.profile.name(),
            users_only: row.users_only,
            enabled: row.enabled,
            created: row.created.to_string(),
            users: self.store.count(row.id, ResourceKind::User),
            groups: self.store.count(row.id, ResourceKind::Group),
            tokens_live: self.live_tokens(row.id).len(),
        }
    }

    /// What goes with a directory.
    fn deletion(&self, row: &DirectoryRow, deleted: bool) -> DirectoryDeletion {
        let item = self.directory_item(row);
        DirectoryDeletion {
            name: item.name,
            users: item.users,
            groups: item.groups,
            tokens_live: item.tokens_live,
            deleted,
        }
    }
}
