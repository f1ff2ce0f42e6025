//! Method and path → what is asked for. Pure: decides nothing about rights or existence.

use std::borrow::Cow;

use crate::scim::schema::ResourceKind;
use crate::telemetry::metrics::Route;

/// Query keys that Entra's administrators append to the Tenant URL to choose a PATCH dialect. Both dialects are always
/// understood, so the keys mean nothing here.
const FLAGS: [&str; 2] = ["aadOptscim062020", "AzureAdScimPatch2017"];

/// HTTP methods that SCIM uses (RFC 7644 §3.2), `HEAD` and `OPTIONS` beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Read, without the body.
    Head,
    /// Create.
    Post,
    /// Replace.
    Put,
    /// Change in part.
    Patch,
    /// Delete.
    Delete,
    /// Ask which methods there are.
    Options,
    /// Anything else.
    Other,
}

impl Method {
    /// The method of that name; names are case-sensitive (RFC 9110 §9.1).
    pub fn parse(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }

    /// Whether the method only reads.
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options)
    }
}

/// Where a request on the SCIM listener goes, by its first path segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// `/healthz`.
    Health,
    /// `/scim/{directory}/…`: the rest is read once the caller is known.
    Scim {
        /// The directory's name as it stands in the URL.
        directory: &'a str,
        /// The segments after it.
        rest: &'a [Cow<'a, str>],
    },
    /// Nothing that this listener serves.
    Nowhere,
}

impl<'a> Place<'a> {
    /// The place of these path segments.
    pub fn of(segments: &'a [Cow<'a, str>]) -> Self {
        match segments {
            [one] if one == "healthz" => Self::Health,
            [scim, directory, rest @ ..] if scim == "scim" => Self::Scim { directory, rest },
            _ => Self::Nowhere,
        }
    }
}

/// What a request below a Tenant URL is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The Tenant URL itself: every resource.
    Root,
    /// All resources of a kind.
    Collection(ResourceKind),
    /// One resource; the id as it stands in the URL.
    Resource(ResourceKind, String),
    /// A query in a body (RFC 7644 §3.4.3).
    SearchBody,
    /// `/ServiceProviderConfig`.
    ServiceProviderConfig,
    /// `/Schemas`.
    Schemas,
    /// `/Schemas/{urn}`.
    Schema(String),
    /// `/ResourceTypes`.
    ResourceTypes,
    /// `/ResourceTypes/{name}`.
    ResourceType(String),
    /// `/Bulk`.
    Bulk,
    /// `/Me`.
    Me,
    /// A protocol version that Rollcall does not speak.
    OtherVersion(String),
    /// No endpoint.
    Unknown,
}

impl Target {
    /// The target of the path segments after the directory's name. With `doubled_slash`, empty
    /// segments after the version are passed over: Entra joins its URLs that way when the Tenant
    /// URL ends in a slash. A single trailing slash is passed over always.
    pub fn of(rest: &[Cow<'_, str>], doubled_slash: bool) -> Self {
        let Some((version, rest)) = rest.split_first() else {
            return Self::Unknown;
        };
        if version != "v2" {
            return if is_version(version) {
                Self::OtherVersion(version.clone().into_owned())
            } else {
                Self::Unknown
            };
        }
        let mut segments: Vec<&str> = rest.iter().map(AsRef::as_ref).collect();
        if segments.last() == Some(&"") {
            segments.pop();
        }
        if doubled_slash {
            while segments.first() == Some(&"") {
                segments.remove(0);
            }
        }
        match *segments.as_slice() {
            [] => Self::Root,
            [".search"] | ["Users" | "Groups", ".search"] => Self::SearchBody,
            ["Users"] => Self::Collection(ResourceKind::User),
            ["Groups"] => Self::Collection(ResourceKind::Group),
            ["Users", id] => Self::Resource(ResourceKind::User, id.to_owned()),
            ["Groups", id] => Self::Resource(ResourceKind::Group, id.to_owned()),
            ["ServiceProviderConfig"] => Self::ServiceProviderConfig,
            ["Schemas"] => Self::Schemas,
            // A URN holds no slash, so it is one segment.
            ["Schemas", urn] => Self::Schema(urn.to_owned()),
            ["ResourceTypes"] => Self::ResourceTypes,
            ["ResourceTypes", name] => Self::ResourceType(name.to_owned()),
            ["Bulk"] => Self::Bulk,
            ["Me"] => Self::Me,
            _ => Self::Unknown,
        }
    }

    /// The methods this target knows, as the `Allow` header lists them (RFC 9110 §10.2.1).
    pub const fn allow(&self) -> &'static str {
        match self {
            Self::Collection(_) => "GET, HEAD, POST, OPTIONS",
            Self::Resource(..) => "GET, HEAD, PUT, PATCH, DELETE, OPTIONS",
            Self::SearchBody | Self::Bulk => "POST, OPTIONS",
            Self::Me => "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
            Self::Root
            | Self::ServiceProviderConfig
            | Self::Schemas
            | Self::Schema(_)
            | Self::ResourceTypes
            | Self::ResourceType(_)
            | Self::OtherVersion(_)
            | Self::Unknown => "GET, HEAD, OPTIONS",
        }
    }

    /// The target's label in the counters.
    pub const fn route(&self) -> Route {
        match self {
            Self::Collection(ResourceKind::User) => Route::Users,
            Self::Collection(ResourceKind::Group) => Route::Groups,
            Self::Resource(ResourceKind::User, _) => Route::User,
            Self::Resource(ResourceKind::Group, _) => Route::Group,
            Self::SearchBody => Route::Search,
            Self::ServiceProviderConfig => Route::ServiceProviderConfig,
            Self::Schemas | Self::Schema(_) => Route::Schemas,
            Self::ResourceTypes | Self::ResourceType(_) => Route::ResourceTypes,
            Self::Bulk => Route::Bulk,
            Self::Me => Route::Me,
            Self::Root | Self::OtherVersion(_) | Self::Unknown => Route::Other,
        }
    }
}

/// The flag that a parameter of the query holds in its middle, where the rest of a URL was appended to it or it to the rest:
/// `?aadOptscim062020/Users?filter=…`. What it swallowed cannot be guessed, and without its filter a query finds everybody.
pub fn misplaced_flag(name: &str, value: &str) -> Option<&'static str> {
    let key = name.split(['/', '?']).next().unwrap_or_default();
    let goes_on = key.len() < name.len() || value.contains(['/', '?']);
    let appended = value.rsplit_once('?').map(|(_, last)| last);
    FLAGS.into_iter().find(|flag| {
        (goes_on && flag.eq_ignore_ascii_case(key))
            || appended.is_some_and(|last| flag.eq_ignore_ascii_case(last))
    })
}

/// Whether a path segment looks like a protocol version: `v` and digits (RFC 7644 §3.13).
fn is_version(segment: &str) -> bool {
    segment
        .strip_prefix('v')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use crate::api::route::Place;
    use crate::api::route::Target;
    use crate::api::route::misplaced_flag;
    use crate::scim::schema::ResourceKind;

    /// The path's segments as the listener hands them over.
    fn segments(path: &str) -> Vec<Cow<'_, str>> {
        path.split('/').skip(1).map(Cow::from).collect()
    }

    #[test]
    fn the_first_segments_name_the_place() {
        assert_eq!(Place::of(&segments("/healthz")), Place::Health);
        for nowhere in ["/", "/scim", "/healthz/x", "/SCIM/a/v2", "/favicon.ico"] {
            assert_eq!(Place::of(&segments(nowhere)), Place::Nowhere, "{nowhere}");
        }
        let path = segments("/scim/entra/v2/Users");
        let Place::Scim { directory, rest } = Place::of(&path) else {
            panic!("not SCIM")
        };
        assert_eq!((directory, rest.len()), ("entra", 2));
    }

    #[test]
    fn a_flag_with_the_rest_of_a_url_is_seen() {
        let (new, old) = (Some("aadOptscim062020"), Some("AzureAdScimPatch2017"));
        for (name, value, expected) in [
            ("aadOptscim062020", "", None),
            ("aadOptscim062020", "true", None),
            ("AzureAdScimPatch2017", "", None),
            ("filter", "displayName eq \"aadOptscim062020\"", None),
            ("filter", "meta.location eq \"https://a/Users/1\"", None),
            ("x", "/Users?filter", None),
            ("aadOptscim0620201/Users", "", None),
            ("aadOptscim062020/Users", "", new),
            ("AADOPTSCIM062020/Users?filter", "id pr", new),
            ("aadOptscim062020?filter", "id pr", new),
            ("aadOptscim062020", "true/Users", new),
            ("azureadscimpatch2017", "1?filter=id pr", old),
            ("filter", "userName eq a?aadOptscim062020", new),
            ("excludedAttributes", "members?AzureAdScimPatch2017", old),
        ] {
            assert_eq!(misplaced_flag(name, value), expected, "{name}={value}");
        }
    }

    #[test]
    fn a_path_has_one_target() {
        let user = |id: &str| Target::Resource(ResourceKind::User, id.to_owned());
        for (path, entra, strict) in [
            ("/v2", Target::Root, Target::Root),
            ("/v2/", Target::Root, Target::Root),
            (
                "/v2/Users",
                Target::Collection(ResourceKind::User),
                Target::Collection(ResourceKind::User),
            ),
            (
                "/v2/Users/",
                Target::Collection(ResourceKind::User),
                Target::Collection(ResourceKind::User),
            ),
            (
                "/v2//Users",
                Target::Collection(ResourceKind::User),
                Target::Unknown,
            ),
            ("/v2//Users/7", user("7"), Target::Unknown),
            ("/v2/Users/7", user("7"), user("7")),
            ("/v2/Users/7/", user("7"), user("7")),
            ("/v2/Users//7", Target::Unknown, Target::Unknown),
            ("/v2/Users/7//", Target::Unknown, Target::Unknown),
            ("/v2/users", Target::Unknown, Target::Unknown),
            ("/v2/Users/.search", Target::SearchBody, Target::SearchBody),
            ("/v2/.search", Target::SearchBody, Target::SearchBody),
            (
                "/v2/Schemas/urn:x",
                Target::Schema("urn:x".to_owned()),
                Target::Schema("urn:x".to_owned()),
            ),
            (
                "/v1/Users",
                Target::OtherVersion("v1".to_owned()),
                Target::OtherVersion("v1".to_owned()),
            ),
            ("/Users", Target::Unknown, Target::Unknown),
            ("/v/Users", Target::Unknown, Target::Unknown),
        ] {
            assert_eq!(Target::of(&segments(path), true), entra, "{path}");
            assert_eq!(Target::of(&segments(path), false), strict, "{path}");
        }
    }
}
