//! Every failure → status and body, in one place. Causes are logged here, once, and never sent.

use std::fmt;

use crate::api::reply::Reply;
use crate::auth::Refusal;
use crate::base::ident::RequestId;
use crate::directory::error::DirectoryError;
use crate::http::BodyError;
use crate::http::Fault;
use crate::scim::error::Condition;
use crate::scim::error::ScimError;
use crate::scim::schema::ResourceKind;
use crate::store::error::CommitError;

/// Seconds after which a client should try again when the store takes no writes.
const RETRY_AFTER_STORE_S: u32 = 5;

/// Why a request was not carried out.
#[derive(Debug)]
pub enum ApiError {
    /// The caller is not known or not allowed.
    Refused(Refusal),
    /// The protocol forbids it.
    Scim(ScimError),
    /// The endpoint does not know the method.
    Method {
        /// The methods it knows.
        allow: &'static str,
    },
    /// The body did not arrive whole.
    Body(BodyError),
    /// The use case failed.
    Directory(DirectoryError),
    /// Something that cannot happen did; the text is for the log.
    Internal(String),
}

impl From<ScimError> for ApiError {
    fn from(error: ScimError) -> Self {
        Self::Scim(error)
    }
}

impl From<DirectoryError> for ApiError {
    fn from(error: DirectoryError) -> Self {
        Self::Directory(error)
    }
}

/// What a refused request leads to: the answer, and the line for the log.
pub struct Failure {
    /// The answer.
    pub reply: Reply,
    /// The stable reason code.
    pub reason: &'static str,
    /// What the operator should know and the client need not. Empty when the answer says it all.
    pub cause: String,
}

impl ApiError {
    /// The answer to the client and the words for the log.
    pub fn into_failure(self, request: RequestId) -> Failure {
        match self {
            Self::Refused(refusal) => refused(&refusal, request),
            Self::Scim(error) => scim(&error, request, String::new()),
            Self::Method { allow } => {
                let error = ScimError::new(
                    Condition::MethodNotAllowed,
                    format!("this endpoint does not know the method; it knows {allow}"),
                );
                let mut failure = scim(&error, request, String::new());
                failure.reply.allow = Some(allow);
                failure
            }
            Self::Body(error) => body(&error, request),
            Self::Directory(error) => directory(&error, request),
            Self::Internal(cause) => internal(request, cause),
        }
    }
}

/// The answer to a request that did not reach an endpoint, or panicked in one.
pub fn of_fault(fault: Fault, request: RequestId) -> Failure {
    let error = match fault {
        Fault::Panicked => {
            return internal(request, "a panic, logged where it happened".to_owned());
        }
        Fault::UrlTooLong { bytes_max } => ScimError::new(
            Condition::UrlTooLong,
            format!("the URL is longer than the limit of {bytes_max} bytes"),
        ),
        Fault::HeadersTooLong { bytes_max } => ScimError::new(
            Condition::HeadersTooLong,
            format!("the headers are longer than the limit of {bytes_max} bytes"),
        ),
    };
    scim(&error, request, String::new())
}

/// The answer to a caller who is not known or not allowed.
fn refused(refusal: &Refusal, request: RequestId) -> Failure {
    let mut reply = Reply::error(
        refusal.status(),
        None,
        &with_request(refusal.detail(), request),
    );
    reply.challenge = refusal.challenge();
    reply.retry_after_s = refusal.retry_after_s();
    Failure {
        reply,
        reason: refusal.reason(),
        cause: refusal.log_detail().to_string(),
    }
}

/// The answer to a request that the protocol forbids.
fn scim(error: &ScimError, request: RequestId, cause: String) -> Failure {
    let condition = error.condition();
    let detail = with_request(error.detail(), request);
    let mut reply = Reply::error(condition.status(), condition.scim_type(), &detail);
    if condition == Condition::Unavailable {
        reply.retry_after_s = Some(RETRY_AFTER_STORE_S);
    }
    let cause = if cause.is_empty() {
        error.detail().to_owned()
    } else {
        cause
    };
    Failure {
        reply,
        reason: condition.reason(),
        cause,
    }
}

/// The answer when the server failed.
fn internal(request: RequestId, cause: String) -> Failure {
    let error = ScimError::new(
        Condition::Internal,
        "the server failed; nothing was changed; its log tells more under the request's id",
    );
    scim(&error, request, cause)
}

/// The answer to a body that did not arrive whole.
fn body(error: &BodyError, request: RequestId) -> Failure {
    let (condition, detail) = match error {
        BodyError::TooLarge { bytes_max } => (
            Condition::BodyTooLarge,
            format!("the body is larger than the limit of {bytes_max} bytes"),
        ),
        BodyError::Timeout { timeout } => (
            Condition::BodyTimeout,
            format!(
                "the body did not arrive within {} seconds",
                timeout.as_secs()
            ),
        ),
        BodyError::Aborted => (
            Condition::BodyNotJson,
            "the body broke off before its end".to_owned(),
        ),
    };
    scim(
        &ScimError::new(condition, detail),
        request,
        error.to_string(),
    )
}

/// The answer to a use case that failed.
fn directory(error: &DirectoryError, request: RequestId) -> Failure {
    let told = match error {
        DirectoryError::NotFound { kind } => ScimError::new(
            Condition::NotFound,
            format!(
                "no {} has this id; it never existed here or was deleted",
                kind.name()
            ),
        ),
        DirectoryError::Taken {
            kind,
            index,
            by,
            active,
        } => ScimError::new(
            Condition::Uniqueness,
            format!(
                "{} is already in use by the {} {by}{}; use that resource or another value",
                index.attribute(),
                kind.name(),
                if *active == Some(false) && *kind == ResourceKind::User {
                    ", who is disabled"
                } else {
                    ""
                },
            ),
        ),
        DirectoryError::UnknownMembers { values } => ScimError::new(
            Condition::MemberUnknown,
            format!(
                "members: no user and no group has the id {}; nothing was changed",
                values.join(", ")
            ),
        ),
        DirectoryError::TooManyMembers { members_max } => ScimError::new(
            Condition::TooMany,
            format!(
                "the groups of this page have more than {members_max} members together; ask with \
                 excludedAttributes=members, or for fewer groups with `count`"
            ),
        ),
        DirectoryError::VersionMismatch { current } => ScimError::new(
            Condition::VersionMismatch,
            format!("the resource has changed: its version is W/\"{current}\" now; read it again"),
        ),
        DirectoryError::DirectoryGone => ScimError::new(
            Condition::NotFound,
            "the directory was deleted while the request was under way",
        ),
        DirectoryError::Rejected(error) => error.clone(),
        DirectoryError::Store(cause) => {
            let error = ScimError::new(
                Condition::Unavailable,
                "this resource cannot be read at the moment; try again later",
            );
            return scim(&error, request, cause.to_string());
        }
        DirectoryError::Commit(cause) => return commit(cause, request),
    };
    scim(&told, request, String::new())
}

/// The answer when a write could not be made durable.
fn commit(cause: &CommitError, request: RequestId) -> Failure {
    match cause {
        CommitError::NoSpace => {
            let error = ScimError::new(
                Condition::Unavailable,
                "the server's disk is almost full; nothing was changed; try again later",
            );
            let mut failure = scim(&error, request, cause.to_string());
            failure.reason = "storage.full";
            failure
        }
        CommitError::ReadOnly { .. } | CommitError::Failed => {
            let error = ScimError::new(
                Condition::Unavailable,
                "the server cannot store changes at the moment; try again later",
            );
            scim(&error, request, cause.to_string())
        }
        CommitError::Rejected(reject) => {
            internal(request, format!("unexpected refusal: {reject:?}"))
        }
    }
}

/// The client's sentence with the request's id, by which the operator finds it in the log: Entra
/// shows the sentence in its own log.
fn with_request(detail: impl fmt::Display, request: RequestId) -> String {
    format!("{detail} [request {request}]")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::api::error::ApiError;
    use crate::api::reply::Content;
    use crate::base::ident::RequestId;
    use crate::base::ident::ResourceId;
    use crate::base::ident::Revision;
    use crate::directory::error::DirectoryError;
    use crate::scim::schema::ResourceKind;
    use crate::store::change::Index;

    /// The id in the answers.
    const ID: &str = "0b6ef0a9-5f4e-4d2b-8a54-0d1d7c6a3f21";

    /// Asserts what is told of a failure.
    fn check(error: DirectoryError, status: u16, scim_type: Option<&str>, detail: &str) {
        let request = RequestId::from_bytes([7; 16]);
        let failure = ApiError::Directory(error).into_failure(request);
        let Content::Whole(body) = failure.reply.body else {
            panic!("a refusal has a body: {detail}")
        };
        let body: Value = serde_json::from_slice(&body).unwrap();
        let detail = format!("{} [request {request}]", detail.replace("ID", ID));
        let told = (body["scimType"].as_str(), body["detail"].as_str());
        assert_eq!(
            (failure.reply.status, told),
            (status, (scim_type, Some(&*detail)))
        );
    }

    #[test]
    fn what_a_use_case_refuses_is_told_in_a_sentence() {
        let taken = |kind, index, active| DirectoryError::Taken {
            kind,
            index,
            by: ResourceId::parse(ID).unwrap(),
            active,
        };
        let values = vec![ID.to_owned(), "\"x\"".to_owned()];
        check(
            DirectoryError::NotFound {
                kind: ResourceKind::Group,
            },
            404,
            None,
            "no Group has this id; it never existed here or was deleted",
        );
        check(
            taken(ResourceKind::User, Index::UserName, Some(false)),
            409,
            Some("uniqueness"),
            "userName is already in use by the User ID, who is disabled; use that resource or another value",
        );
        check(
            taken(ResourceKind::Group, Index::DisplayName, Some(true)),
            409,
            Some("uniqueness"),
            "displayName is already in use by the Group ID; use that resource or another value",
        );
        check(
            DirectoryError::UnknownMembers { values },
            400,
            Some("invalidValue"),
            "members: no user and no group has the id ID, \"x\"; nothing was changed",
        );
        check(
            DirectoryError::TooManyMembers {
                members_max: 200_000,
            },
            400,
            Some("tooMany"),
            "the groups of this page have more than 200000 members together; ask with \
             excludedAttributes=members, or for fewer groups with `count`",
        );
        check(
            DirectoryError::VersionMismatch {
                current: Revision(7),
            },
            412,
            None,
            "the resource has changed: its version is W/\"7\" now; read it again",
        );
    }
}
