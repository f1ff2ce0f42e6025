//! Why a filter or a path was not understood, and how the client is told.

use crate::scim::path::PathError;

/// Why a text was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Offset of the byte where it went wrong.
    pub at: usize,
    /// What went wrong there.
    pub cause: Cause,
    /// Whether it went wrong between brackets.
    pub in_brackets: bool,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The grammar, the limits or the types.
    Syntax(String),
    /// The name of an attribute.
    Path(PathError),
}

impl Refusal {
    /// The sentence for the client, with the position in characters from 1.
    pub fn sentence(&self, text: &str) -> String {
        let before = text.get(..self.at).unwrap_or(text);
        let position = before.chars().count() + 1;
        match &self.cause {
            Cause::Syntax(sentence) => format!("at character {position}: {sentence}"),
            Cause::Path(error) => format!("at character {position}: {error}"),
        }
    }
}
