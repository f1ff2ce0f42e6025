//! What a client may be told when a request is refused (RFC 7644 §3.12).
//!
//! Every text here is safe to send: causes that concern only the operator never become a [`ScimError`].

use serde_json::json;

/// Why a request was refused. Decides status, `scimType` and the reason code in logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The body is not JSON, or JSON that the protocol forbids (duplicate keys, too deep).
    BodyNotJson,
    /// The body is JSON but not the message or resource expected here.
    BodySchema,
    /// A value has the wrong type or form.
    ValueType,
    /// A required value is missing.
    ValueRequired,
    /// The filter does not parse, or its operator does not fit the attribute.
    FilterSyntax,
    /// The filter names an attribute that the resource type does not have.
    FilterAttributeUnknown,
    /// A member of a group is nobody.
    MemberUnknown,
    /// A PATCH path is malformed or names an attribute that the resource type does not have.
    PatchPath,
    /// A PATCH operation has nothing to act on.
    PatchNoTarget,
    /// A read-only or immutable attribute, or the removal of a required one.
    PatchReadOnly,
    /// Another resource holds the value.
    Uniqueness,
    /// A protocol version other than v2.
    Version,
    /// More results than the server is willing to compute.
    TooMany,
    /// Discovery documents cannot be filtered (RFC 7644 §4).
    DiscoveryFilter,
    /// No such endpoint or resource.
    NotFound,
    /// The endpoint does not know this method.
    MethodNotAllowed,
    /// The resource has another version than `If-Match` names.
    VersionMismatch,
    /// The body is larger than the limit.
    BodyTooLarge,
    /// The URL is longer than the limit.
    UrlTooLong,
    /// The headers are longer than the limit.
    HeadersTooLong,
    /// The body has another media type than JSON.
    MediaType,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The feature is defined by SCIM but not offered here.
    NotImplemented,
    /// The request itself is malformed (a bad percent-encoding, a query parameter out of range).
    BadRequest,
    /// The server failed; the cause is in its log.
    Internal,
    /// The store takes no writes at the moment.
    Unavailable,
}

impl Condition {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::BodyNotJson
            | Self::BodySchema
            | Self::ValueType
            | Self::ValueRequired
            | Self::MemberUnknown
            | Self::FilterSyntax
            | Self::FilterAttributeUnknown
            | Self::PatchPath
            | Self::PatchNoTarget
            | Self::PatchReadOnly
            | Self::Version
            | Self::TooMany
            | Self::BadRequest => 400,
            Self::DiscoveryFilter => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::BodyTimeout => 408,
            Self::Uniqueness => 409,
            Self::VersionMismatch => 412,
            Self::BodyTooLarge => 413,
            Self::UrlTooLong => 414,
            Self::MediaType => 415,
            Self::HeadersTooLong => 431,
            Self::Internal => 500,
            Self::NotImplemented => 501,
            Self::Unavailable => 503,
        }
    }

    /// The `scimType` keyword, where RFC 7644 Table 9 defines one.
    pub const fn scim_type(self) -> Option<&'static str> {
        match self {
            Self::BodyNotJson | Self::BodySchema => Some("invalidSyntax"),
            Self::ValueType | Self::ValueRequired | Self::MemberUnknown | Self::BadRequest => {
                Some("invalidValue")
            }
            Self::FilterSyntax | Self::FilterAttributeUnknown => Some("invalidFilter"),
            Self::PatchPath => Some("invalidPath"),
            Self::PatchNoTarget => Some("noTarget"),
            Self::PatchReadOnly => Some("mutability"),
            Self::Uniqueness => Some("uniqueness"),
            Self::Version => Some("invalidVers"),
            Self::TooMany => Some("tooMany"),
            Self::DiscoveryFilter
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::VersionMismatch
            | Self::BodyTooLarge
            | Self::UrlTooLong
            | Self::HeadersTooLong
            | Self::MediaType
            | Self::BodyTimeout
            | Self::NotImplemented
            | Self::Internal
            | Self::Unavailable => None,
        }
    }

    /// The reason code, stable, for logs and metrics.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::BodyNotJson => "body.not_json",
            Self::BodySchema => "body.schema",
            Self::ValueType => "value.type",
            Self::ValueRequired => "value.required",
            Self::MemberUnknown => "group.member_unknown",
            Self::FilterSyntax => "filter.syntax",
            Self::FilterAttributeUnknown => "filter.attribute_unknown",
            Self::PatchPath => "patch.path",
            Self::PatchNoTarget => "patch.no_target",
            Self::PatchReadOnly => "patch.readonly",
            Self::Uniqueness => "uniqueness",
            Self::Version => "path.version",
            Self::TooMany => "page.too_large",
            Self::DiscoveryFilter => "filter.discovery",
            Self::NotFound => "path.not_found",
            Self::MethodNotAllowed => "method.not_allowed",
            Self::VersionMismatch => "etag.mismatch",
            Self::BodyTooLarge => "body.too_large",
            Self::UrlTooLong => "url.too_long",
            Self::HeadersTooLong => "headers.too_long",
            Self::MediaType => "body.media_type",
            Self::BodyTimeout => "body.timeout",
            Self::NotImplemented => "feature.not_implemented",
            Self::BadRequest => "request.malformed",
            Self::Internal => "internal",
            Self::Unavailable => "storage.busy",
        }
    }
}

/// A refusal as the client sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ScimError {
    /// Why.
    condition: Condition,
    /// What happened, why and what would be accepted, in English. Never a secret.
    detail: String,
}

impl ScimError {
    /// A refusal because of `condition`; `detail` names what was wrong and what would be accepted.
    pub fn new(condition: Condition, detail: impl Into<String>) -> Self {
        Self {
            condition,
            detail: detail.into(),
        }
    }

    /// Why the request was refused.
    pub const fn condition(&self) -> Condition {
        self.condition
    }

    /// The sentence for the client.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The same refusal with `prefix` before its sentence: the operation or position it concerns.
    #[must_use]
    pub fn within(self, prefix: &str) -> Self {
        Self {
            condition: self.condition,
            detail: format!("{prefix}: {}", self.detail),
        }
    }

    /// The error message's body (RFC 7644 §3.12). `status` is a string there.
    pub fn body(status: u16, scim_type: Option<&str>, detail: &str) -> Vec<u8> {
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": status.to_string(),
        });
        if let Some(members) = body.as_object_mut() {
            if let Some(scim_type) = scim_type {
                members.insert("scimType".to_owned(), scim_type.into());
            }
            members.insert("detail".to_owned(), detail.into());
        }
        body.to_string().into_bytes()
    }
}
