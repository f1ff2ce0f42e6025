//! The attribute table: User, Group, the enterprise extension and the common attributes
//! (RFC 7643 §3.1, §4, §8.7, errata applied). Which of it is published is `discovery`'s business.

use std::sync::Arc;

use crate::scim::schema::Attribute;
use crate::scim::schema::Mutability;
use crate::scim::schema::Profile;
use crate::scim::schema::Returned;
use crate::scim::schema::Schema;
use crate::scim::schema::Type;
use crate::scim::schema::Uniqueness;

/// The User schema's URN.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The Group schema's URN.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The enterprise extension's URN.
pub const ENTERPRISE_USER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// Where an address, phone or e-mail belongs (RFC 7643 §4.1.2).
const PLACES: &[&str] = &["work", "home", "other"];

/// Every attribute starts with the defaults of RFC 7643 §2.2; these change one each.
impl Attribute {
    /// An attribute with the characteristics that hold where none are declared.
    pub(super) fn plain(name: &str, description: &str) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            kind: Type::String,
            multi_valued: false,
            required: false,
            case_exact: false,
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            uniqueness: Uniqueness::None,
            canonical_values: Vec::new(),
            reference_types: Vec::new(),
            sub_attributes: Vec::new(),
        }
    }

    /// The same attribute with another type. Binary values and references compare exactly
    /// (RFC 7643 §2.3.6, §2.3.7; erratum 6001).
    pub(super) fn of(self, kind: Type) -> Self {
        let case_exact = self.case_exact || matches!(kind, Type::Binary | Type::Reference);
        Self {
            kind,
            case_exact,
            ..self
        }
    }

    /// The same attribute, compared exactly.
    fn exact(self) -> Self {
        Self {
            case_exact: true,
            ..self
        }
    }

    /// The same attribute with several values.
    fn many(self) -> Self {
        Self {
            multi_valued: true,
            ..self
        }
    }

    /// The same attribute, obligatory.
    fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }

    /// The same attribute with another mutability.
    fn set(self, mutability: Mutability) -> Self {
        Self { mutability, ..self }
    }

    /// The same attribute, returned at other times.
    fn returned(self, returned: Returned) -> Self {
        Self { returned, ..self }
    }

    /// The same attribute with another uniqueness.
    fn unique(self, uniqueness: Uniqueness) -> Self {
        Self { uniqueness, ..self }
    }

    /// The same attribute with suggested values.
    fn suggests(self, values: &[&str]) -> Self {
        Self {
            canonical_values: values.iter().map(|&value| value.into()).collect(),
            ..self
        }
    }

    /// The same attribute, a reference to these.
    fn refers_to(self, types: &[&str]) -> Self {
        Self {
            reference_types: types.iter().map(|&kind| kind.into()).collect(),
            ..self.of(Type::Reference)
        }
    }

    /// The same attribute, made of these parts.
    fn parts(self, parts: Vec<Self>) -> Self {
        Self {
            sub_attributes: parts.into_iter().map(Arc::new).collect(),
            ..self.of(Type::Complex)
        }
    }
}

/// A schema of these attributes.
fn schema(id: &str, name: &str, description: &str, attributes: Vec<Attribute>) -> Schema {
    Schema {
        id: id.into(),
        name: name.into(),
        description: description.into(),
        attributes: attributes.into_iter().map(Arc::new).collect(),
    }
}

/// Shorthand: a single-valued string with the default characteristics.
fn text(name: &str, description: &str) -> Attribute {
    Attribute::plain(name, description)
}

/// A list of values with the usual sub-attributes (RFC 7643 §2.4): `value` first, then `display`,
/// `type` with these suggestions, and `primary`.
fn plural(name: &str, description: &str, value: Attribute, types: &[&str]) -> Attribute {
    text(name, description).many().parts(vec![
        value,
        text("display", "The value as people should see it."),
        text("type", "What the value is for.").suggests(types),
        primary(),
    ])
}

/// The flag that marks one value of several.
fn primary() -> Attribute {
    text(
        "primary",
        "Whether this is the preferred value; at most one is.",
    )
    .of(Type::Boolean)
}

/// Attributes that every resource has although no schema lists them (RFC 7643 §3, §3.1).
pub fn common() -> Vec<Arc<Attribute>> {
    let meta = vec![
        text("resourceType", "The resource type's name.").exact(),
        text("created", "When the resource was created.").of(Type::DateTime),
        text("lastModified", "When the resource last really changed.").of(Type::DateTime),
        text("location", "The resource's URI.").refers_to(&["uri"]),
        text("version", "The resource's entity tag.").exact(),
    ];
    let meta = meta
        .into_iter()
        .map(|part| part.set(Mutability::ReadOnly))
        .collect();
    [
        // Schema URNs compare without regard to case, unlike other references (RFC 7643 §2.1).
        text("schemas", "The URNs of the schemas that the resource uses.")
            .many()
            .required()
            .returned(Returned::Always),
        text("id", "The resource's identifier, chosen by this server.")
            .exact()
            .required()
            .set(Mutability::ReadOnly)
            .returned(Returned::Always)
            .unique(Uniqueness::Server),
        text("externalId", "The client's own identifier of the resource.").exact(),
        text("meta", "What the server records about the resource.")
            .parts(meta)
            .set(Mutability::ReadOnly),
    ]
    .map(Arc::new)
    .into()
}

/// The User schema (RFC 7643 §4.1).
pub fn user() -> Schema {
    let mut attributes = user_singular();
    attributes.extend(user_contacts());
    attributes.extend(user_rights());
    // "User Account" is the RFC's own wording, and Microsoft's request collection looks for it.
    schema(USER, "User", "User Account", attributes)
}

/// The User's attributes with one value (RFC 7643 §4.1.1).
fn user_singular() -> Vec<Attribute> {
    vec![
        text("userName", "The name the person signs in with.")
            .required()
            .unique(Uniqueness::Server),
        text("name", "The parts of the person's name.").parts(vec![
            text("formatted", "The whole name, as it should be shown."),
            text("familyName", "Family name."),
            text("givenName", "Given name."),
            text("middleName", "Middle names."),
            text("honorificPrefix", "Title before the name, such as Dr."),
            text("honorificSuffix", "Suffix after the name, such as III."),
        ]),
        text("displayName", "The name to show, suitable for display."),
        text("nickName", "The name the person is called by."),
        text("profileUrl", "The person's page.").refers_to(&["external"]),
        text("title", "The person's title, such as Vice President."),
        text(
            "userType",
            "How person and organisation relate, such as Employee.",
        ),
        text(
            "preferredLanguage",
            "Languages the person prefers, as in Accept-Language.",
        ),
        text(
            "locale",
            "Locale for dates, numbers and currency, such as en-US.",
        ),
        text(
            "timezone",
            "Time zone by its IANA name, such as Europe/Stockholm.",
        ),
        text(
            "active",
            "Whether the person may use the systems provisioned from here.",
        )
        .of(Type::Boolean),
        // Discarded on arrival: accepted so that clients may send it, never kept.
        text(
            "password",
            "Accepted and discarded; Rollcall keeps no passwords.",
        )
        .set(Mutability::WriteOnly)
        .returned(Returned::Never),
    ]
}

/// The User's lists of ways to reach the person (RFC 7643 §4.1.2).
fn user_contacts() -> Vec<Attribute> {
    let phones = ["work", "home", "mobile", "fax", "pager", "other"];
    let ims = [
        "aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo", "other",
    ];
    let photo = text("value", "Where the picture is.").refers_to(&["external"]);
    vec![
        plural(
            "emails",
            "E-mail addresses.",
            text("value", "The address."),
            PLACES,
        ),
        plural(
            "phoneNumbers",
            "Phone numbers.",
            text("value", "The number."),
            &phones,
        ),
        plural(
            "ims",
            "Instant messaging addresses.",
            text("value", "The address."),
            &ims,
        ),
        plural(
            "photos",
            "Pictures of the person.",
            photo,
            &["photo", "thumbnail"],
        ),
        text("addresses", "Postal addresses.").many().parts(vec![
            text("formatted", "The whole address, as it should be shown."),
            text(
                "streetAddress",
                "Street and number, or what stands for them.",
            ),
            text("locality", "City or locality."),
            text("region", "State or region."),
            text("postalCode", "Postal code."),
            text("country", "Country, as two letters of ISO 3166-1."),
            text("type", "What the address is for.").suggests(PLACES),
            // Missing in the RFC's table, used in its examples (RFC 7643 §2.4, §8.2).
            primary(),
        ]),
    ]
}

/// The User's groups and the lists of what the person may do (RFC 7643 §4.1.2).
fn user_rights() -> Vec<Attribute> {
    let value = || text("value", "The value.");
    let groups = vec![
        // An id, and ids compare exactly (RFC 7643 §3.1).
        text("value", "The group's id.").exact(),
        text("$ref", "The group's URI.").refers_to(&["Group"]),
        text("display", "The group's name."),
        text("type", "Whether the membership is direct.").suggests(&["direct", "indirect"]),
    ];
    let groups = groups
        .into_iter()
        .map(|part| part.set(Mutability::ReadOnly))
        .collect();
    let certificate = text("value", "One certificate, DER in base64.").of(Type::Binary);
    vec![
        text(
            "groups",
            "Groups the person is a member of; changed through the groups.",
        )
        .many()
        .parts(groups)
        .set(Mutability::ReadOnly),
        plural("entitlements", "Things the person may use.", value(), &[]),
        // No suggestions: Entra then addresses roles as `roles[primary eq "True"]`.
        plural("roles", "The person's roles.", value(), &[]),
        plural(
            "x509Certificates",
            "The person's certificates.",
            certificate,
            &[],
        ),
    ]
}

/// The Group schema (RFC 7643 §4.2). Whether two groups may bear the same name is the profile's choice.
pub fn group(profile: Profile) -> Schema {
    let uniqueness = match profile {
        Profile::Entra => Uniqueness::Server,
        Profile::Strict => Uniqueness::None,
    };
    let kinds = ["User", "Group"];
    let members = vec![
        text("value", "The member's id.")
            .exact()
            .set(Mutability::Immutable),
        text("$ref", "The member's URI.")
            .refers_to(&kinds)
            .set(Mutability::Immutable),
        text("type", "Whether the member is a User or a Group.")
            .suggests(&kinds)
            .set(Mutability::Immutable),
        text("display", "The member's name.").set(Mutability::ReadOnly),
    ];
    let attributes = vec![
        // Required by erratum 5368, whatever the RFC's printed JSON says.
        text("displayName", "The group's name.")
            .required()
            .unique(uniqueness),
        text("members", "The group's members.")
            .many()
            .parts(members),
    ];
    schema(GROUP, "Group", "Group", attributes)
}

/// The enterprise extension of User (RFC 7643 §4.3).
pub fn enterprise_user() -> Schema {
    let manager = vec![
        text("value", "The manager's id.").exact(),
        text("$ref", "The manager's URI.").refers_to(&["User"]),
        text("displayName", "The manager's name.").set(Mutability::ReadOnly),
    ];
    let attributes = vec![
        text(
            "employeeNumber",
            "The number the organisation gave the person.",
        ),
        text("costCenter", "Cost center."),
        text("organization", "Organization."),
        text("division", "Division."),
        text("department", "Department."),
        text("manager", "The person's manager.").parts(manager),
    ];
    schema(
        ENTERPRISE_USER,
        "EnterpriseUser",
        "Enterprise User",
        attributes,
    )
}
