//! Who acts.

use std::fmt;

use crate::base::ident::TokenId;

/// Who caused a change or asked for something. Written to history and audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A client of the SCIM interface, known by its token.
    Token(TokenId),
    /// A person at the command line, through a local socket.
    Operator {
        /// What the kernel says of the caller: user id 0 or not.
        root: bool,
        /// The name the command stated; nobody has checked it.
        stated_name: Box<str>,
    },
    /// Rollcall itself.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(id) => write!(f, "token {id}"),
            Self::Operator {
                root: true,
                stated_name,
            } => write!(f, "root (stated: {stated_name})"),
            Self::Operator {
                root: false,
                stated_name,
            } => write!(f, "operator (stated: {stated_name})"),
            Self::System => f.write_str("system"),
        }
    }
}
