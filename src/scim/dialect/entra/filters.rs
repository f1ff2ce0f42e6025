//! Filters as Entra and its documents write them.

use crate::scim::dialect::entra;
use crate::scim::path::AttrPath;
use crate::scim::resource::Note;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::core;
use crate::scim::schema::registry::Registry;

/// `externalId eq mlindqvist`: a value without quotes, as printed in Microsoft's tutorial.
///
/// A word in single quotes stays refused: it is somebody's mistake, and searching for the quotes
/// would silently find nobody.
pub fn unquoted(name: &str, word: &str, notes: &mut Vec<Note>) -> Option<String> {
    if word.starts_with('\'') {
        return None;
    }
    Note::add(notes, entra::FILTER_UNQUOTED, name);
    Some(word.to_owned())
}

/// `roles[primary eq "True"].value`, `active eq "false"`: a boolean as a string, or capitalised.
pub fn boolean(name: &str, word: &str, notes: &mut Vec<Note>) -> Option<bool> {
    let value = entra::boolean_word(word)?;
    Note::add(notes, entra::FILTER_BOOLEAN, name);
    Some(value)
}

/// `emails[type eq "work"].value eq "mara@northbridge.example"` and `emails[type eq "work"] eq "…"`:
/// a comparison after brackets. Entra matches users by such filters.
pub fn value_path(path: &AttrPath, notes: &mut Vec<Note>) -> bool {
    Note::add(notes, entra::FILTER_VALUE_PATH, &path.to_string());
    true
}

/// `id eq "u-1" and manager eq "u-2"`: a complex attribute with one value, compared by its `value`.
pub fn single_value(path: &AttrPath, notes: &mut Vec<Note>) -> bool {
    Note::add(notes, entra::FILTER_SINGLE_VALUE, &path.to_string());
    true
}

/// `manager eq "u-2"`, `{"op": "Remove", "path": "manager"}`: the manager without the URN of the
/// enterprise extension, as in Microsoft's tutorial. No other attribute is sent that way.
pub fn bare_manager(
    registry: &Registry,
    kind: ResourceKind,
    text: &str,
    notes: &mut Vec<Note>,
) -> Option<AttrPath> {
    let name = text.split_once('.').map_or(text, |(name, _)| name);
    if !name.eq_ignore_ascii_case("manager") {
        return None;
    }
    let qualified = format!("{}:{text}", core::ENTERPRISE_USER);
    let path = AttrPath::parse(&qualified, registry, kind).ok()?;
    Note::add(notes, entra::BARE_MANAGER, text);
    Some(path)
}
