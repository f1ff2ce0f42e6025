//! From a request on a local socket to the use case it names, and back.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::admin::Admin;
use crate::admin::AdminError;
use crate::admin::HistoryRequest;
use crate::admin::ListRequest;
use crate::admin::NewDirectory;
use crate::admin::TokenRequest;
use crate::base::actor::Actor;
use crate::control::failure::Failure;
use crate::control::failure::FailureKind;
use crate::control::protocol::ProfileName;
use crate::control::protocol::Reply;
use crate::control::protocol::Request;
use crate::control::protocol::ScopeName;
use crate::scim::schema::Profile;
use crate::store::row::Scope;
use crate::telemetry::metrics::Metrics;

/// Carries out what operators ask.
pub struct Operator {
    /// The use cases.
    admin: Arc<Admin>,
    /// What is counted of a directory goes with it.
    metrics: Arc<Metrics>,
}

impl Operator {
    /// Over these use cases.
    pub const fn new(admin: Arc<Admin>, metrics: Arc<Metrics>) -> Self {
        Self { admin, metrics }
    }

    /// Carries a request out. Blocks.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm a request; splitting would match twice"
    )]
    pub fn carry_out(&self, request: &Request, actor: &Actor) -> Reply {
        let admin = &*self.admin;
        match request {
            Request::Status {} => ok(admin.status()),
            Request::DirectoryCreate {
                name,
                users_only,
                profile,
            } => {
                let profile = Some(profile_of(*profile).name());
                let new = NewDirectory {
                    name,
                    profile,
                    users_only: *users_only,
                };
                reply(admin.directory_create(new, actor))
            }
            Request::DirectoryList {} => ok(admin.directory_list()),
            Request::DirectoryShow { name } => reply(admin.directory_show(name)),
            Request::DirectoryEnable { name } => reply(admin.directory_enable(name, actor)),
            Request::DirectoryDisable { name } => reply(admin.directory_disable(name, actor)),
            Request::DirectoryDelete { name } => {
                let deleted = admin.directory_delete(name, actor);
                if deleted.is_ok() {
                    self.metrics.forget_directory(name);
                }
                reply(deleted)
            }
            Request::TokenCreate {
                directory,
                scope,
                label,
                expires_after_s,
            } => {
                let new = TokenRequest {
                    directory,
                    scope: scope_of(*scope).name(),
                    label: label.as_deref().unwrap_or_default(),
                    life: expires_after_s.map(Duration::from_secs),
                };
                reply(admin.token_create(new, actor))
            }
            Request::TokenList { directory } => reply(admin.token_list(directory.as_deref())),
            Request::TokenShow { id } => reply(admin.token_show(id)),
            Request::TokenVerify { token } => ok(admin.token_verify(token.expose())),
            Request::TokenRevoke { id, reason } => {
                reply(admin.token_revoke(id, reason.as_deref(), actor))
            }
            Request::UserList {
                directory,
                filter,
                limit,
                after,
            } => reply(admin.user_list(list(
                directory.as_ref(),
                filter.as_ref(),
                *limit,
                after.as_ref(),
            ))),
            Request::UserShow { directory, user } => {
                reply(admin.user_show(directory.as_deref(), user))
            }
            Request::GroupList {
                directory,
                filter,
                limit,
                after,
            } => reply(admin.group_list(list(
                directory.as_ref(),
                filter.as_ref(),
                *limit,
                after.as_ref(),
            ))),
            Request::GroupShow { directory, group } => {
                reply(admin.group_show(directory.as_deref(), group))
            }
            Request::UserHistory {
                directory,
                user,
                limit,
                before,
            } => {
                let story = story(directory.as_ref(), user, *limit, *before);
                reply(admin.user_history(story))
            }
            Request::GroupHistory {
                directory,
                group,
                limit,
                before,
            } => {
                let story = story(directory.as_ref(), group, *limit, *before);
                reply(admin.group_history(story))
            }
            Request::AuditList { limit, before } => {
                reply(admin.audit_list(limit.map(count), *before))
            }
            Request::AuditVerify {} => reply(admin.audit_verify()),
            Request::StorageStatus {} => reply(admin.storage_status()),
            Request::StorageVerify { repair } => reply(admin.storage_verify(*repair, actor)),
            Request::StorageCompact { base_only } => {
                reply(admin.storage_compact(*base_only, actor))
            }
        }
    }
}

/// The profile that the protocol's word means.
const fn profile_of(name: ProfileName) -> Profile {
    match name {
        ProfileName::Entra => Profile::Entra,
        ProfileName::Strict => Profile::Strict,
    }
}

/// The scope that the protocol's word means.
const fn scope_of(name: ScopeName) -> Scope {
    match name {
        ScopeName::Provision => Scope::Provision,
        ScopeName::Read => Scope::Read,
    }
}

/// A list request in the words of `admin`.
fn list<'a>(
    directory: Option<&'a String>,
    filter: Option<&'a String>,
    limit: Option<u32>,
    after: Option<&'a String>,
) -> ListRequest<'a> {
    ListRequest {
        directory: directory.map(String::as_str),
        filter: filter.map(String::as_str),
        limit: limit.map(count),
        after: after.map(String::as_str),
    }
}

/// A part of a story in the words of `admin`.
fn story<'a>(
    directory: Option<&'a String>,
    name: &'a str,
    limit: Option<u32>,
    before: Option<u64>,
) -> HistoryRequest<'a> {
    HistoryRequest {
        directory: directory.map(String::as_str),
        name,
        limit: limit.map(count),
        before,
    }
}

/// A number of things.
fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The reply to a use case that can fail.
fn reply<T: Serialize>(result: Result<T, AdminError>) -> Reply {
    match result {
        Ok(value) => ok(value),
        Err(error) => {
            let kind = match &error {
                AdminError::NotFound(_) => FailureKind::NotFound,
                AdminError::Conflict(_) => FailureKind::Conflict,
                AdminError::Invalid(_) => FailureKind::Invalid,
                AdminError::Unavailable(_) => FailureKind::Unavailable,
                AdminError::Internal(_) => FailureKind::Internal,
            };
            let problem = error.problem();
            Reply::Error(
                Failure::new(kind, problem.what.clone())
                    .why(problem.why.clone())
                    .fix(problem.fix.clone()),
            )
        }
    }
}

/// The reply to a use case that went well.
fn ok<T: Serialize>(value: T) -> Reply {
    match serde_json::to_value(value) {
        Ok(value) => Reply::Ok(value),
        Err(error) => Reply::Error(Failure::new(
            FailureKind::Internal,
            format!("the result cannot be written as JSON: {error}"),
        )),
    }
}
