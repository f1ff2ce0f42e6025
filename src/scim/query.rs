//! The parameters of a list (RFC 7644 §3.4.2). Unknown ones are ignored: Entra and proxies append
//! their own. So are `sortBy` and `sortOrder`, since sorting is declared unsupported.

use crate::scim::error::Condition;
use crate::scim::error::ScimError;
use crate::scim::json::shortened;
use crate::scim::resource::project::Projection;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::registry::Registry;

/// What a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The filter as sent.
    pub filter: Option<String>,
    /// The first match wanted, from 1.
    pub start_index: usize,
    /// Most matches wanted; the caller holds it to the page's limit.
    pub count: Option<usize>,
    /// Which attributes are wanted.
    pub projection: Projection,
}

/// Reads the decoded parameters of a list.
///
/// # Errors
///
/// [`Condition::BadRequest`] when a parameter is given twice, is no whole number where one is
/// needed, or excludes another.
pub fn parse(
    parameters: &[(String, String)],
    registry: &Registry,
    kind: ResourceKind,
) -> Result<Query, ScimError> {
    let projection = projection(parameters, registry, kind)?;
    let filter = one(parameters, "filter")?.map(str::to_owned);
    // RFC 7644 §3.4.2.4: below 1 means 1, a negative count means 0.
    let start_index = integer(parameters, "startIndex")?.map_or(1, |index| index.max(1));
    let count = integer(parameters, "count")?;
    Ok(Query {
        filter,
        start_index,
        count,
        projection,
    })
}

/// Reads only which attributes are wanted: all that a request on one resource may ask.
///
/// # Errors
///
/// [`Condition::BadRequest`], as [`Projection::parse`].
pub fn projection(
    parameters: &[(String, String)],
    registry: &Registry,
    kind: ResourceKind,
) -> Result<Projection, ScimError> {
    let attributes = one(parameters, "attributes")?;
    let excluded = one(parameters, "excludedAttributes")?;
    Projection::parse(attributes, excluded, registry, kind)
}

/// The value of a parameter, its name compared without regard to ASCII case.
fn one<'a>(parameters: &'a [(String, String)], name: &str) -> Result<Option<&'a str>, ScimError> {
    let mut values = parameters
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str());
    let first = values.next();
    // Which of two filters holds would be a guess, and a wrong one shows the wrong people.
    if values.any(|value| Some(value) != first) {
        let detail = format!("the query parameter `{name}` is given twice; send it once");
        return Err(ScimError::new(Condition::BadRequest, detail));
    }
    Ok(first)
}

/// The value of a parameter that is a whole number: negative ones count as 0, huge ones as the
/// largest there is.
fn integer(parameters: &[(String, String)], name: &str) -> Result<Option<usize>, ScimError> {
    let Some(text) = one(parameters, name)? else {
        return Ok(None);
    };
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        let text = shortened(text);
        let detail = format!("the query parameter `{name}` must be a whole number, not {text:?}");
        return Err(ScimError::new(Condition::BadRequest, detail));
    }
    Ok(Some(if digits.len() < text.len() {
        0
    } else {
        // Only digits: what does not parse is too large.
        digits.parse().unwrap_or(usize::MAX)
    }))
}

#[cfg(test)]
mod tests {
    use crate::scim::error::Condition;
    use crate::scim::error::ScimError;
    use crate::scim::query::Query;
    use crate::scim::query::parse;
    use crate::scim::resource::project::Projection;
    use crate::scim::schema::Profile;
    use crate::scim::schema::ResourceKind;
    use crate::scim::schema::registry::Registry;

    fn parsed(parameters: &[(&str, &str)]) -> Result<Query, ScimError> {
        let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let parameters: Vec<_> = parameters.iter().map(own).collect();
        let registry = Registry::new(Profile::Entra, false);
        parse(&parameters, &registry, ResourceKind::User)
    }

    #[test]
    fn without_parameters_a_list_starts_at_its_start() {
        for parameters in [
            &[][..],
            &[
                ("aadOptscim062020", ""),
                ("sortBy", "userName"),
                ("cursor", ""),
            ],
        ] {
            let query = Query {
                filter: None,
                start_index: 1,
                count: None,
                projection: Projection::Default,
            };
            assert_eq!(parsed(parameters).unwrap(), query, "{parameters:?}");
        }
    }

    #[test]
    fn names_have_no_case_and_the_filter_stays_as_sent() {
        let query = parsed(&[
            ("FILTER", " userName eq \"a\" "),
            ("startindex", "6"),
            ("Count", "5"),
            ("ATTRIBUTES", "id"),
        ]);
        let query = query.unwrap();
        assert_eq!(query.filter.as_deref(), Some(" userName eq \"a\" "));
        assert_eq!((query.start_index, query.count), (6, Some(5)));
        assert!(!query.projection.wants("groups", ResourceKind::User));
    }

    #[test]
    fn numbers_out_of_range_are_brought_into_it() {
        let huge = "9".repeat(30);
        let minus_huge = format!("-{huge}");
        for (text, start_index, count) in [
            ("0", 1, 0),
            ("-1", 1, 0),
            ("1", 1, 1),
            ("007", 7, 7),
            (&huge, usize::MAX, usize::MAX),
            (&minus_huge, 1, 0),
        ] {
            let query = parsed(&[("startIndex", text), ("count", text)]).unwrap();
            assert_eq!(
                (query.start_index, query.count),
                (start_index, Some(count)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_number_or_ambiguous_is_refused() {
        for (parameters, detail) in [
            (
                &[("count", "ten")][..],
                "the query parameter `count` must be a whole number, not \"ten\"",
            ),
            (
                &[("startIndex", "")],
                "the query parameter `startIndex` must be a whole number, not \"\"",
            ),
            (
                &[("count", "-")],
                "the query parameter `count` must be a whole number, not \"-\"",
            ),
            (
                &[("count", "1.0")],
                "the query parameter `count` must be a whole number, not \"1.0\"",
            ),
            (
                &[("filter", "a"), ("Filter", "b")],
                "the query parameter `filter` is given twice; send it once",
            ),
            (
                &[("attributes", "id"), ("excludedAttributes", "name")],
                "`attributes` and `excludedAttributes` exclude each other; send one of them",
            ),
        ] {
            let error = parsed(parameters).unwrap_err();
            assert_eq!(
                (error.condition(), error.detail()),
                (Condition::BadRequest, detail)
            );
        }
    }
}
