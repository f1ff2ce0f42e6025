//! One value as somebody wrote it, and the ways a key can read it.
//!
//! A file gives typed values. Environment variables and `--set` give bare text, which is read as
//! whatever the key expects; a list is then separated by commas.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::units::BadUnit;
use crate::config::units::parse_duration;
use crate::config::units::parse_size;
use crate::config::units::show_duration;
use crate::config::units::show_size;

/// One value as somebody wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text without a type, from the environment or the command line.
    Bare(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer.
    Integer(i64),
    /// A TOML array.
    List(Vec<Self>),
    /// Something that no key takes; how to call it in a message.
    Other(String),
}

impl Value {
    /// What the value is, for "found …".
    fn found(&self) -> String {
        match self {
            Self::Bare(text) | Self::Text(text) => format!("{text:?}"),
            Self::Integer(number) => format!("the integer {number}"),
            Self::List(_) => "a list".to_owned(),
            Self::Other(name) => name.clone(),
        }
    }

    /// "expected …, found …".
    fn refused(&self, wanted: &str) -> String {
        format!("expected {wanted}, found {}", self.found())
    }

    /// Reads text with `parse`.
    ///
    /// # Errors
    ///
    /// What was expected and what was found.
    pub fn parsed<T>(&self, parse: impl Fn(&str) -> Result<T, BadUnit>) -> Result<T, String> {
        let text = match self {
            Self::Bare(text) | Self::Text(text) => text.as_str(),
            // No parser takes the empty text, so it serves to learn what is expected.
            _ => "",
        };
        let found = parse(text).map_err(|BadUnit(wanted)| self.refused(wanted))?;
        match self {
            Self::Bare(_) | Self::Text(_) => Ok(found),
            _ => Err(self.refused("text in quotes")),
        }
    }

    /// Reads one of a few words.
    ///
    /// # Errors
    ///
    /// What was expected and what was found.
    pub fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, String> {
        if let Self::Bare(text) | Self::Text(text) = self
            && let Some((_, meaning)) = words.iter().find(|(word, _)| word == text)
        {
            return Ok(*meaning);
        }
        let names: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        Err(self.refused(&names.join(" or ")))
    }

    /// Reads a whole number of the range.
    ///
    /// # Errors
    ///
    /// What was expected and what was found.
    pub fn number(&self, range: &RangeInclusive<u32>) -> Result<u32, String> {
        let number = match self {
            Self::Bare(text) => text.parse().ok(),
            Self::Integer(number) => u32::try_from(*number).ok(),
            _ => None,
        };
        number.filter(|n| range.contains(n)).ok_or_else(|| {
            self.refused(&format!(
                "a whole number from {} to {}",
                range.start(),
                range.end()
            ))
        })
    }

    /// Reads a size of the range, in bytes.
    ///
    /// # Errors
    ///
    /// What was expected and what was found.
    pub fn size(&self, range: &RangeInclusive<u64>) -> Result<u64, String> {
        let bytes = self.parsed(parse_size)?;
        if range.contains(&bytes) {
            return Ok(bytes);
        }
        let (least, most) = (show_size(*range.start()), show_size(*range.end()));
        Err(self.refused(&format!("a size from {least} to {most}")))
    }

    /// Reads a duration of the range.
    ///
    /// # Errors
    ///
    /// What was expected and what was found.
    pub fn duration(&self, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
        let duration = self.parsed(parse_duration)?;
        if range.contains(&duration) {
            return Ok(duration);
        }
        let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
        Err(self.refused(&format!("a duration from {least} to {most}")))
    }

    /// Reads an absolute path.
    ///
    /// # Errors
    ///
    /// What was expected and what was found.
    pub fn path(&self) -> Result<PathBuf, String> {
        self.parsed(|text| {
            let path = PathBuf::from(text);
            if path.is_absolute() && !text.contains('\0') {
                Ok(path)
            } else {
                Err(BadUnit("a path that starts with \"/\""))
            }
        })
    }

    /// Reads an address with a port.
    ///
    /// # Errors
    ///
    /// What was expected and what was found.
    pub fn address(&self) -> Result<SocketAddr, String> {
        self.parsed(|text| {
            text.parse().map_err(|_error| {
                BadUnit("an address with a port such as \"0.0.0.0:443\" or \"[::]:443\"")
            })
        })
    }

    /// Whether this is the empty text, which switches a listener off.
    pub fn is_empty_text(&self) -> bool {
        matches!(self, Self::Bare(text) | Self::Text(text) if text.is_empty())
    }

    /// Reads a list, each element with `read`. Bare text is separated by commas.
    ///
    /// # Errors
    ///
    /// What was expected and what was found, with the number of the element counted from 1.
    pub fn list<T: PartialEq>(
        &self,
        read: impl Fn(&Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let bare: Vec<Self>;
        let elements = match self {
            Self::List(elements) => elements.as_slice(),
            Self::Bare(text) if text.trim().is_empty() => &[],
            Self::Bare(text) => {
                let part = |part: &str| Self::Bare(part.trim().to_owned());
                bare = text.split(',').map(part).collect();
                bare.as_slice()
            }
            _ => return Err(self.refused("a list in square brackets")),
        };
        let mut list = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let number = index.saturating_add(1);
            let item = read(element).map_err(|error| format!("element {number}: {error}"))?;
            if list.contains(&item) {
                return Err(format!(
                    "element {number}: {} is there twice",
                    element.found()
                ));
            }
            list.push(item);
        }
        Ok(list)
    }
}
