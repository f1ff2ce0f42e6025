//! The names that stand between brackets: those of an element's parts (RFC 7644 §3.4.2.2).

use std::sync::Arc;

use crate::scim::path::AttrPath;
use crate::scim::path::PathError;
use crate::scim::path::part;
use crate::scim::schema::Attribute;
use crate::scim::schema::Type;

/// The path of an element's part, relative to the element.
///
/// # Errors
///
/// [`PathError`] when the element has no such part.
pub fn element_path(of: &AttrPath, name: &str) -> Result<AttrPath, PathError> {
    let attribute = &of.attribute;
    if !matches!(attribute.kind, Type::Complex | Type::Any) && name.eq_ignore_ascii_case("value") {
        return Ok(element_value(attribute));
    }
    Ok(AttrPath {
        extension: None,
        attribute: part(attribute, name)?,
        sub: None,
    })
}

/// The path of a simple element itself, which is called `value` between brackets.
pub fn element_value(attribute: &Attribute) -> AttrPath {
    AttrPath {
        extension: None,
        attribute: Arc::new(Attribute {
            name: "value".into(),
            multi_valued: false,
            ..attribute.clone()
        }),
        sub: None,
    }
}

/// The sub-attribute by which elements are compared when none is named.
pub fn default_value(attribute: &Attribute) -> Option<Arc<Attribute>> {
    match attribute.kind {
        Type::Complex | Type::Any => part(attribute, "value").ok(),
        Type::String
        | Type::Boolean
        | Type::Decimal
        | Type::Integer
        | Type::DateTime
        | Type::Binary
        | Type::Reference => Some(element_value(attribute).attribute),
    }
}
