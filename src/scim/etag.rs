//! Versions of resources as entity tags, and the conditions that name them
//! (RFC 7644 §3.14, RFC 9110 §8.8.3, §13.1).

use crate::base::ident::Revision;

/// The entity tag of a revision: weak, because a projection of it has other bytes.
pub fn etag(revision: Revision) -> String {
    format!("W/\"{revision}\"")
}

/// What `If-Match` or `If-None-Match` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// `*`: any version.
    Any,
    /// One of these versions. Tags that Rollcall never gave name none.
    OneOf(Vec<Revision>),
}

impl Precondition {
    /// Reads the header's values, one for each line it was sent in.
    ///
    /// HTTP wants `If-Match` compared strongly, but the tags SCIM servers give are weak and its
    /// examples send them back so; `W/` is ignored. Tags without quotation marks are tolerated.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut revisions = Vec::new();
        for line in lines {
            let mut rest = line;
            loop {
                rest = rest.trim_matches([' ', '\t', ',']);
                if rest.is_empty() {
                    break;
                }
                if rest == "*" {
                    return Self::Any;
                }
                let (tag, after) = next_tag(rest);
                revisions.extend(revision(tag));
                rest = after;
            }
        }
        Self::OneOf(revisions)
    }

    /// Whether the condition names this version. `If-Match` asks that it does,
    /// `If-None-Match` that it does not.
    pub fn holds(&self, revision: Revision) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(revisions) => revisions.contains(&revision),
        }
    }
}

/// Splits off the first tag's opaque part: between quotation marks, or up to the next comma.
fn next_tag(text: &str) -> (&str, &str) {
    let opaque = text.strip_prefix("W/").unwrap_or(text);
    match opaque.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
        None => opaque.split_once(',').unwrap_or((opaque, "")),
    }
}

/// The revision that an opaque part names, if it is spelled as Rollcall spells it.
fn revision(opaque: &str) -> Option<Revision> {
    let opaque = opaque.trim_end();
    let revision = Revision(opaque.parse().ok()?);
    (revision.to_string() == opaque).then_some(revision)
}

#[cfg(test)]
mod tests {
    use crate::base::ident::Revision;
    use crate::scim::etag::Precondition;
    use crate::scim::etag::etag;

    #[test]
    fn a_version_is_a_weak_tag() {
        assert_eq!(etag(Revision(7)), "W/\"7\"");
    }

    #[test]
    fn a_condition_names_versions() {
        let one_of = |revisions: &[u64]| {
            Precondition::OneOf(revisions.iter().copied().map(Revision).collect())
        };
        for (lines, condition) in [
            (&["*"][..], Precondition::Any),
            (&["W/\"7\""], one_of(&[7])),
            (&["\"7\""], one_of(&[7])),
            (&["7"], one_of(&[7])),
            (&["W/7 , 8"], one_of(&[7, 8])),
            (&["W/\"7\",\"8\" , W/\"9\""], one_of(&[7, 8, 9])),
            (&["W/\"7\"", "\"8\""], one_of(&[7, 8])),
            (&["\"1\"", " * "], Precondition::Any),
            (&["\"a,7\", \"07\", \"+7\", \"\", \"7"], one_of(&[7])),
            (&[""], one_of(&[])),
            (&[], one_of(&[])),
        ] {
            assert_eq!(
                Precondition::parse(lines.iter().copied()),
                condition,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn a_condition_holds_for_the_versions_it_names() {
        for (text, holds) in [
            ("*", true),
            ("\"7\"", true),
            ("\"6\", \"7\"", true),
            ("\"8\"", false),
        ] {
            let condition = Precondition::parse([text]);
            assert_eq!(condition.holds(Revision(7)), holds, "{text}");
        }
    }
}
