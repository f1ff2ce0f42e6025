//! Reading filters and PATCH paths: one recursive descent over the words (RFC 7644 §3.4.2.2 with
//! errata 4670, 4690, 7319, 7322; §3.5.2 with erratum 7122).
//!
//! Own notation: `or := and ("or" and)*` · `and := unary ("and" unary)*` · `unary := ["not"] "(" or
//! ")" | path "[" or "]" | path "pr" | path op value`; no bracket inside a bracket.

use std::sync::Arc;

use crate::scim::dialect;
use crate::scim::error::Condition;
use crate::scim::error::ScimError;
use crate::scim::filter::CompareOp;
use crate::scim::filter::Filter;
use crate::scim::filter::FilterLimits;
use crate::scim::filter::element::default_value;
use crate::scim::filter::element::element_path;
use crate::scim::filter::element::element_value;
use crate::scim::filter::lex::Token;
use crate::scim::filter::lex::TokenKind;
use crate::scim::filter::lex::tokens;
use crate::scim::filter::literal::Written;
use crate::scim::filter::literal::typed;
use crate::scim::filter::refusal::Cause;
use crate::scim::filter::refusal::Refusal;
use crate::scim::path::AttrPath;
use crate::scim::path::PatchPath;
use crate::scim::path::PathError;
use crate::scim::path::part;
use crate::scim::resource::Note;
use crate::scim::schema::Attribute;
use crate::scim::schema::Mutability;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::Returned;
use crate::scim::schema::Type;
use crate::scim::schema::registry::Registry;

/// Reads a filter on resources of a kind.
///
/// # Errors
///
/// 400 `invalidFilter`.
pub fn filter(
    text: &str,
    registry: &Registry,
    kind: ResourceKind,
    limits: FilterLimits,
    notes: &mut Vec<Note>,
) -> Result<Filter, ScimError> {
    let parsed = Parser::new(text, registry, kind, limits, notes).and_then(|mut parser| {
        let filter = parser.or(&Names::Resource)?;
        parser.end()?;
        Ok(filter)
    });
    parsed.map_err(|refusal| {
        let condition = match &refusal.cause {
            Cause::Path(error) if error.is_unknown() => Condition::FilterAttributeUnknown,
            Cause::Path(_) | Cause::Syntax(_) => Condition::FilterSyntax,
        };
        ScimError::new(condition, format!("filter, {}", refusal.sentence(text)))
    })
}

/// Reads the path of a PATCH operation.
///
/// # Errors
///
/// [`Refusal`]; the caller knows what the operation may tolerate.
pub fn patch_path(
    text: &str,
    registry: &Registry,
    kind: ResourceKind,
    notes: &mut Vec<Note>,
) -> Result<PatchPath, Refusal> {
    let extension = registry.extensions(kind).iter();
    let mut extension = extension.filter(|schema| schema.id.eq_ignore_ascii_case(text));
    if let Some(schema) = extension.next() {
        return Ok(PatchPath::Extension(schema.id.clone()));
    }
    let mut parser = Parser::new(text, registry, kind, FilterLimits::DEFAULT, notes)?;
    let path = parser.path(&Names::Resource)?;
    if let Some(TokenKind::BracketOpen) = parser.peek() {
        let filter = Box::new(parser.brackets(&path)?);
        let sub = parser.sub_after_brackets(&path)?;
        parser.end()?;
        let path = AttrPath { sub, ..path };
        return Ok(PatchPath::Elements { path, filter });
    }
    if parser.peek().is_none() {
        return Ok(PatchPath::Attribute(path));
    }
    // Erratum 7122: `schemas eq "urn:…"` chooses values of a simple multi-valued attribute, as
    // `schemas[value eq "urn:…"]` does.
    let simple = path.attribute.multi_valued && path.attribute.kind != Type::Complex;
    if !simple || path.sub.is_some() {
        return Err(parser.unexpected("the path should end here"));
    }
    let path_to_value = element_value(&path.attribute);
    let filter = Box::new(parser.comparison(path_to_value, 0)?);
    parser.end()?;
    Ok(PatchPath::Elements { path, filter })
}

/// Whose attributes the names are.
enum Names {
    /// Those of the resource.
    Resource,
    /// Those of an element of this attribute: the names between brackets.
    Element(AttrPath),
}

/// The words, and how far they are read.
struct Parser<'a> {
    /// The words.
    tokens: Vec<Token<'a>>,
    /// How many of them are read.
    read: usize,
    /// The length of the text: where the end stands.
    bytes: usize,
    /// Knows the attributes.
    registry: &'a Registry,
    /// Whose attributes they are.
    kind: ResourceKind,
    /// How large the filter may be.
    limits: FilterLimits,
    /// What was tolerated.
    notes: &'a mut Vec<Note>,
    /// How many comparisons there are.
    terms: usize,
    /// How many parentheses and brackets are open.
    depth: usize,
    /// Whether a bracket is open.
    in_brackets: bool,
}

impl<'a> Parser<'a> {
    /// A parser at the beginning of a text.
    fn new(
        text: &'a str,
        registry: &'a Registry,
        kind: ResourceKind,
        limits: FilterLimits,
        notes: &'a mut Vec<Note>,
    ) -> Result<Self, Refusal> {
        let refuse = |at, sentence| Refusal {
            at,
            cause: Cause::Syntax(sentence),
            in_brackets: false,
        };
        if text.len() > limits.bytes_max {
            let sentence = format!("longer than {} bytes, which is the most", limits.bytes_max);
            return Err(refuse(0, sentence));
        }
        Ok(Self {
            tokens: tokens(text).map_err(|bad| refuse(bad.at, bad.reason.to_owned()))?,
            read: 0,
            bytes: text.len(),
            registry,
            kind,
            limits,
            notes,
            terms: 0,
            depth: 0,
            in_brackets: false,
        })
    }

    /// `or := and ("or" and)*`
    fn or(&mut self, names: &Names) -> Result<Filter, Refusal> {
        let mut terms = vec![self.and(names)?];
        while self.take_word("or") {
            terms.push(self.and(names)?);
        }
        Ok(single_or(terms, Filter::Or))
    }

    /// `and := unary ("and" unary)*`
    fn and(&mut self, names: &Names) -> Result<Filter, Refusal> {
        let mut terms = vec![self.unary(names)?];
        while self.take_word("and") {
            terms.push(self.unary(names)?);
        }
        Ok(single_or(terms, Filter::And))
    }

    /// A group, a negation, a value path or a comparison.
    fn unary(&mut self, names: &Names) -> Result<Filter, Refusal> {
        // `not` followed by a parenthesis cannot be an attribute's name.
        if self.peek_after() == Some(&TokenKind::Open) && self.take_word("not") {
            return Ok(Filter::Not(Box::new(self.group(names)?)));
        }
        if self.peek() == Some(&TokenKind::Open) {
            return self.group(names);
        }
        let at = self.at();
        let path = self.path(names)?;
        if self.peek() != Some(&TokenKind::BracketOpen) {
            return self.comparison(path, at);
        }
        let filter = self.brackets(&path)?;
        let refused = self.unexpected("after `]` only `and`, `or`, `)` or the end may follow");
        let sub = self.sub_after_brackets(&path)?;
        if sub.is_none() && !self.operator_follows() {
            let filter = Box::new(filter);
            return Ok(Filter::ValuePath { path, filter });
        }
        if !dialect::filter_value_path(self.registry.profile(), &path, self.notes) {
            return Err(refused);
        }
        let value_path = AttrPath {
            extension: None,
            attribute: sub
                .map_or_else(|| default_value(&path.attribute), Some)
                .ok_or(refused)?,
            sub: None,
        };
        let comparison = self.comparison(value_path, at)?;
        Ok(Filter::ValuePath {
            path,
            filter: Box::new(both(filter, comparison)),
        })
    }

    /// `"(" or ")"`
    fn group(&mut self, names: &Names) -> Result<Filter, Refusal> {
        self.deeper()?;
        self.read += 1;
        let filter = self.or(names)?;
        if self.peek() != Some(&TokenKind::Close) {
            return Err(self.unexpected("`and`, `or` or `)` should follow"));
        }
        self.read += 1;
        self.depth -= 1;
        Ok(filter)
    }

    /// `"[" or "]"` after a path. Errata 4690, 7322: everything but another bracket may stand inside.
    fn brackets(&mut self, path: &AttrPath) -> Result<Filter, Refusal> {
        if self.in_brackets {
            return Err(self.unexpected("brackets inside brackets are not allowed"));
        }
        let attribute = &path.attribute;
        let has_elements =
            attribute.multi_valued || matches!(attribute.kind, Type::Complex | Type::Any);
        if path.sub.is_some() || !has_elements {
            return Err(self.unexpected(&format!("{path} has no elements to choose from")));
        }
        self.deeper()?;
        self.read += 1;
        self.in_brackets = true;
        let filter = self.or(&Names::Element(path.clone()))?;
        if self.peek() != Some(&TokenKind::BracketClose) {
            return Err(self.unexpected("`and`, `or` or `]` should follow"));
        }
        self.read += 1;
        self.in_brackets = false;
        self.depth -= 1;
        Ok(filter)
    }

    /// `.sub` directly after a closing bracket.
    fn sub_after_brackets(&mut self, path: &AttrPath) -> Result<Option<Arc<Attribute>>, Refusal> {
        let Some(token) = self.tokens.get(self.read).filter(|token| !token.apart) else {
            return Ok(None);
        };
        let TokenKind::Word(word) = token.kind else {
            return Ok(None);
        };
        let Some(name) = word.strip_prefix('.') else {
            return Ok(None);
        };
        let at = token.at + 1;
        let sub = part(&path.attribute, name).map_err(|error| self.bad_path(at, error))?;
        self.read += 1;
        Ok(Some(sub))
    }

    /// `"pr" | op value` after a path that began at `at`.
    fn comparison(&mut self, path: AttrPath, at: usize) -> Result<Filter, Refusal> {
        self.terms += 1;
        if self.terms > self.limits.terms_max {
            let sentence = format!(
                "more than {} comparisons, which is the most",
                self.limits.terms_max
            );
            return Err(self.refuse(at, sentence));
        }
        // What is never returned cannot be asked for either: `sw` would reveal it letter by letter.
        if path.leaf().returned == Returned::Never
            || path.leaf().mutability == Mutability::WriteOnly
        {
            return Err(self.refuse(at, format!("{path} cannot be used in a filter")));
        }
        let operators = "an operator should follow: eq, ne, co, sw, ew, gt, ge, lt, le or pr";
        let Some(TokenKind::Word(word)) = self.peek().cloned() else {
            return Err(self.unexpected(operators));
        };
        if word.eq_ignore_ascii_case("pr") {
            self.read += 1;
            return Ok(Filter::Present(path));
        }
        let op = CompareOp::parse(word).ok_or_else(|| self.unexpected(operators))?;
        self.read += 1;
        let refused = self.unexpected(
            "a value should follow, after a blank: a string in double quotes, a number, true, false or null",
        );
        let token = self.tokens.get(self.read).filter(|token| token.apart);
        let token = token.cloned();
        let (written, at) = match &token {
            Some(token) => match &token.kind {
                TokenKind::Quoted(text) => (Written::Quoted(text), token.at),
                TokenKind::Word(word) => (Written::Bare(word), token.at),
                TokenKind::Open
                | TokenKind::Close
                | TokenKind::BracketOpen
                | TokenKind::BracketClose => return Err(refused),
            },
            None => return Err(refused),
        };
        let path = match written {
            // `null` asks for any part, not for `value`.
            Written::Bare("null") => path,
            Written::Bare(_) | Written::Quoted(_) => self.comparable(path)?,
        };
        let profile = self.registry.profile();
        let value = typed(path.leaf(), op, written, profile, self.notes)
            .map_err(|sentence| self.refuse(at, sentence))?;
        self.read += 1;
        Ok(Filter::Compare { path, op, value })
    }

    /// The path with the sub-attribute by which a complex attribute is compared: `emails co "x"`
    /// means `emails.value`, as in the examples of RFC 7644 §3.4.2.2.
    fn comparable(&mut self, path: AttrPath) -> Result<AttrPath, Refusal> {
        if path.sub.is_some() || path.attribute.kind != Type::Complex {
            return Ok(path);
        }
        let at = self.at();
        let value = default_value(&path.attribute);
        let tolerated = path.attribute.multi_valued
            || value.is_some()
                && dialect::filter_single_value(self.registry.profile(), &path, self.notes);
        match value {
            Some(value) if tolerated => Ok(path.with_sub(value)),
            Some(_) | None => {
                let first = path.attribute.sub_attributes.first();
                let first = first.map_or("value", |sub| &sub.name);
                let sentence =
                    format!("{path} is made of parts; compare one of them, such as {path}.{first}");
                Err(self.refuse(at, sentence))
            }
        }
    }

    /// The attribute that the next word names.
    fn path(&mut self, names: &Names) -> Result<AttrPath, Refusal> {
        let Some(TokenKind::Word(word)) = self.peek().cloned() else {
            return Err(self.unexpected("an attribute's name should follow"));
        };
        let found = match names {
            Names::Resource => AttrPath::parse(word, self.registry, self.kind).or_else(|error| {
                dialect::bare_manager(self.registry, self.kind, word, self.notes).ok_or(error)
            }),
            Names::Element(of) => element_path(of, word),
        };
        let path = found.map_err(|error| self.bad_path(self.at(), error))?;
        self.read += 1;
        Ok(path)
    }

    /// Checks that every word is read.
    fn end(&self) -> Result<(), Refusal> {
        if self.peek().is_none() {
            Ok(())
        } else {
            Err(self.unexpected("it should end here, or `and` or `or` should follow"))
        }
    }

    /// Whether the next word is an operator.
    fn operator_follows(&self) -> bool {
        let Some(TokenKind::Word(word)) = self.peek() else {
            return false;
        };
        word.eq_ignore_ascii_case("pr") || CompareOp::parse(word).is_some()
    }

    /// Enters a parenthesis or bracket.
    fn deeper(&mut self) -> Result<(), Refusal> {
        self.depth += 1;
        if self.depth > self.limits.depth_max {
            let sentence = format!(
                "nested deeper than {}, which is the most",
                self.limits.depth_max
            );
            return Err(self.refuse(self.at(), sentence));
        }
        Ok(())
    }

    /// The next word.
    fn peek(&self) -> Option<&TokenKind<'a>> {
        self.tokens.get(self.read).map(|token| &token.kind)
    }

    /// The word after the next.
    fn peek_after(&self) -> Option<&TokenKind<'a>> {
        self.tokens.get(self.read + 1).map(|token| &token.kind)
    }

    /// Reads the next word if it is this one, in any letter case, with nothing but a bracket
    /// directly before it.
    fn take_word(&mut self, wanted: &str) -> bool {
        let Some(token) = self.tokens.get(self.read) else {
            return false;
        };
        let TokenKind::Word(word) = token.kind else {
            return false;
        };
        let before = self
            .read
            .checked_sub(1)
            .and_then(|read| self.tokens.get(read));
        let glued = !token.apart
            && before.is_some_and(|before| matches!(before.kind, TokenKind::Quoted(_)));
        let taken = word.eq_ignore_ascii_case(wanted) && !glued;
        if taken {
            self.read += 1;
        }
        taken
    }

    /// Where the next word stands.
    fn at(&self) -> usize {
        self.tokens
            .get(self.read)
            .map_or(self.bytes, |token| token.at)
    }

    /// Refuses the next word, and names it.
    fn unexpected(&self, expected: &str) -> Refusal {
        let found = self.tokens.get(self.read).map_or_else(
            || "the end".to_owned(),
            |token| match token.text.char_indices().nth(40) {
                Some((end, _)) => format!("`{}…`", token.text.get(..end).unwrap_or_default()),
                None => format!("`{}`", token.text),
            },
        );
        self.refuse(self.at(), format!("{expected}, but found {found}"))
    }

    /// Refuses what stands at `at`.
    const fn refuse(&self, at: usize, sentence: String) -> Refusal {
        Refusal {
            at,
            cause: Cause::Syntax(sentence),
            in_brackets: self.in_brackets,
        }
    }

    /// Refuses the name that stands at `at`.
    const fn bad_path(&self, at: usize, error: PathError) -> Refusal {
        Refusal {
            at,
            cause: Cause::Path(error),
            in_brackets: self.in_brackets,
        }
    }
}

/// The only term, or all of them joined.
fn single_or(mut terms: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    match terms.pop() {
        Some(only) if terms.is_empty() => only,
        Some(last) => {
            terms.push(last);
            join(terms)
        }
        None => join(terms),
    }
}

/// Both of them, in one `and`.
fn both(first: Filter, second: Filter) -> Filter {
    match first {
        Filter::And(mut terms) => {
            terms.push(second);
            Filter::And(terms)
        }
        other @ (Filter::Or(_)
        | Filter::Not(_)
        | Filter::Present(_)
        | Filter::Compare { .. }
        | Filter::ValuePath { .. }) => Filter::And(vec![other, second]),
    }
}
