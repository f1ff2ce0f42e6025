//! The words of a filter (RFC 7644 §3.4.2.2): names and bare values, JSON strings, brackets.

/// A word and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token<'t> {
    /// What it is.
    pub kind: TokenKind<'t>,
    /// The text itself.
    pub text: &'t str,
    /// Offset of its first byte.
    pub at: usize,
    /// Whether a blank stands before it.
    pub apart: bool,
}

/// What a word can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind<'t> {
    /// A name, an operator, a number or a literal: whatever ends at a blank, bracket or quote.
    Word(&'t str),
    /// A JSON string, its escapes resolved.
    Quoted(String),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[`
    BracketOpen,
    /// `]`
    BracketClose,
}

/// A string that never ends, or whose escapes are wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadString {
    /// Offset of the opening quote.
    pub at: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Splits a filter into its words.
///
/// # Errors
///
/// [`BadString`] when a quoted string is not a JSON string.
pub fn tokens(text: &str) -> Result<Vec<Token<'_>>, BadString> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start_matches([' ', '\t']);
        let apart = trimmed.len() < rest.len();
        let at = text.len() - trimmed.len();
        let Some(first) = trimmed.chars().next() else {
            return Ok(tokens);
        };
        let (kind, bytes) = match first {
            '(' => (TokenKind::Open, 1),
            ')' => (TokenKind::Close, 1),
            '[' => (TokenKind::BracketOpen, 1),
            ']' => (TokenKind::BracketClose, 1),
            '"' => {
                let bytes = quoted_bytes(trimmed).ok_or(BadString {
                    at,
                    reason: "the string has no closing quote",
                })?;
                let text = trimmed.get(..bytes).unwrap_or_default();
                let string = serde_json::from_str(text).map_err(|_error| BadString {
                    at,
                    reason: "the string is not a JSON string; its escapes or control characters are wrong",
                })?;
                (TokenKind::Quoted(string), bytes)
            }
            _ => {
                let end = trimmed.find([' ', '\t', '(', ')', '[', ']', '"']);
                let bytes = end.unwrap_or(trimmed.len());
                let word = trimmed.get(..bytes).unwrap_or_default();
                (TokenKind::Word(word), bytes)
            }
        };
        let (text, after) = trimmed.split_at_checked(bytes).unwrap_or((trimmed, ""));
        rest = after;
        tokens.push(Token {
            kind,
            text,
            at,
            apart,
        });
    }
}

/// How many bytes the string at the beginning of `text` has, quotes included.
fn quoted_bytes(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::scim::filter::lex::TokenKind;
    use crate::scim::filter::lex::tokens;

    #[test]
    fn words_end_at_blanks_brackets_and_quotes() {
        let found: Vec<_> = tokens("a.b[c eq\t\"x\\\"y\\u00e5\"] (1)")
            .unwrap()
            .into_iter()
            .map(|token| (token.kind, token.at, token.apart))
            .collect();
        assert_eq!(
            found,
            [
                (TokenKind::Word("a.b"), 0, false),
                (TokenKind::BracketOpen, 3, false),
                (TokenKind::Word("c"), 4, false),
                (TokenKind::Word("eq"), 6, true),
                (TokenKind::Quoted("x\"yå".to_owned()), 9, true),
                (TokenKind::BracketClose, 21, false),
                (TokenKind::Open, 23, true),
                (TokenKind::Word("1"), 24, false),
                (TokenKind::Close, 25, false),
            ]
        );
    }

    #[test]
    fn a_string_that_json_would_refuse_is_refused_where_it_begins() {
        for (text, at) in [
            ("a eq \"x", 5),
            ("\"x\\\"", 0),
            ("\"\\q\"", 0),
            ("a \"\\ud800\"", 2),
            ("\"a\nb\"", 0),
        ] {
            assert_eq!(tokens(text).unwrap_err().at, at, "{text:?}");
        }
    }
}
