//! The one place that prints: data to standard output, talk to standard error.
//!
//! Without colour, so `NO_COLOR` is obeyed. Values come from identity providers: a control
//! character in one must not reach the terminal, which would obey it.

use std::io::Write;

use serde_json::Map;
use serde_json::Value;

use crate::base::clock::Timestamp;
use crate::cli::args::Format;
use crate::cli::failed::Failed;

/// Where and how results are printed.
pub struct Output<'a> {
    /// For people or for programs.
    pub format: Format,
    /// Data.
    pub data: &'a mut dyn Write,
    /// Talk: hints, questions, errors.
    pub talk: &'a mut dyn Write,
    /// The time now, for "3 days ago".
    pub now: Timestamp,
}

/// One column of a table, or one line of a list of fields.
pub struct Column {
    /// Its title.
    pub title: &'static str,
    /// Where the value is (RFC 6901).
    pub pointer: &'static str,
    /// How the value is printed.
    pub show: Show,
}

/// How a value is printed.
#[derive(Clone, Copy)]
pub enum Show {
    /// As it is; null is `-`.
    Plain,
    /// A point in time, relative to now; null is the word.
    Relative(&'static str),
    /// A boolean, as the first or the second word.
    Either(&'static str, &'static str),
}

/// A column.
pub const fn column(title: &'static str, pointer: &'static str, show: Show) -> Column {
    Column {
        title,
        pointer,
        show,
    }
}

impl Output<'_> {
    /// Prints a line of data.
    ///
    /// # Errors
    ///
    /// When nobody takes it.
    pub fn line(&mut self, text: &str) -> Result<(), Failed> {
        writeln!(self.data, "{}", clean(text))?;
        Ok(())
    }

    /// Says something to a person who reads along. Programs are told nothing.
    ///
    /// # Errors
    ///
    /// When nobody takes it.
    pub fn say(&mut self, text: &str) -> Result<(), Failed> {
        if self.format == Format::Table {
            writeln!(self.talk, "{}", clean(text))?;
        }
        Ok(())
    }

    /// Asks a person something; the answer is typed behind it.
    ///
    /// # Errors
    ///
    /// When nobody takes it.
    pub fn ask(&mut self, question: &str) -> Result<(), Failed> {
        write!(self.talk, "{}", clean(question))?;
        self.talk.flush()?;
        Ok(())
    }

    /// Prints a JSON object that starts with the schema's name.
    ///
    /// # Errors
    ///
    /// When nobody takes it.
    pub fn json(&mut self, schema: &str, value: Value) -> Result<(), Failed> {
        let value = with_schema(schema, value);
        writeln!(self.data, "{value:#}")?;
        Ok(())
    }

    /// Prints the `items` of a list, and how to get the next page.
    ///
    /// # Errors
    ///
    /// When nobody takes it.
    pub fn list(&mut self, schema: &str, columns: &[Column], list: Value) -> Result<(), Failed> {
        if self.format == Format::Json {
            return self.json(schema, list);
        }
        match list.get("items").and_then(Value::as_array) {
            Some(items) if !items.is_empty() => self.table(columns, items)?,
            _ => self.say("(none)")?,
        }
        match list.get("next").and_then(Value::as_str) {
            Some(next) => self.say(&format!("there are more: add --after {next}")),
            None => Ok(()),
        }
    }

    /// Prints rows in aligned columns.
    ///
    /// # Errors
    ///
    /// When nobody takes it.
    pub fn table(&mut self, columns: &[Column], items: &[Value]) -> Result<(), Failed> {
        let titles = columns.iter().map(|column| column.title.to_owned());
        let mut rows = vec![titles.collect::<Vec<String>>()];
        for item in items {
            let cells = columns.iter().map(|column| self.cell(column, item));
            rows.push(cells.collect());
        }
        let widths: Vec<usize> = (0..columns.len())
            .map(|at| {
                let cells = rows.iter().filter_map(|row| row.get(at));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:width$}  "));
            }
            writeln!(self.data, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Prints the fields of one thing, one a line.
    ///
    /// # Errors
    ///
    /// When nobody takes it.
    pub fn fields(&mut self, columns: &[Column], item: &Value) -> Result<(), Failed> {
        let width = columns.iter().map(|column| column.title.len()).max();
        let width = width.unwrap_or(0);
        for column in columns {
            let (title, cell) = (column.title, self.cell(column, item));
            writeln!(self.data, "{title:width$}  {cell}")?;
        }
        Ok(())
    }

    /// The text of one value.
    fn cell(&self, column: &Column, item: &Value) -> String {
        let value = item.pointer(column.pointer).unwrap_or(&Value::Null);
        let text = match (column.show, value) {
            (Show::Relative(never), Value::Null) => never.to_owned(),
            (Show::Relative(_), Value::String(text)) => relative(text, self.now),
            (Show::Either(yes, _), Value::Bool(true)) => yes.to_owned(),
            (Show::Either(_, no), Value::Bool(false)) => no.to_owned(),
            (_, Value::String(text)) if !text.is_empty() => text.clone(),
            (_, Value::Null | Value::String(_)) => "-".to_owned(),
            (_, other) => other.to_string(),
        };
        clean(&text)
    }

    /// Prints why a command failed: what, why, what to do, and the id in the log.
    pub fn failure(&mut self, failed: &Failed) {
        let Some(failure) = failed.words() else {
            return;
        };
        let text = match self.format {
            Format::Json => {
                let mut error = serde_json::to_value(&failure).unwrap_or_default();
                if let Value::Object(members) = &mut error {
                    members.insert("exit".to_owned(), Value::from(failed.exit_code()));
                }
                let wrapped = Value::Object(Map::from_iter([("error".to_owned(), error)]));
                format!("{:#}", with_schema("rollcall.error/1", wrapped))
            }
            Format::Table => {
                let mut text = format!("error: {}", clean(&failure.what));
                for (name, part) in [
                    ("why", failure.why),
                    ("fix", failure.fix),
                    ("id", failure.id),
                ] {
                    let Some(part) = part else { continue };
                    // Several lines stay several lines, below each other.
                    let lines: Vec<String> = part.lines().map(clean).collect();
                    let name = format!("{name}:");
                    text.push_str(&format!("\n  {name:5} {}", lines.join("\n        ")));
                }
                text
            }
        };
        // Nobody is left to tell when standard error is closed.
        drop(writeln!(self.talk, "{text}"));
    }
}

/// Puts the schema's name first.
fn with_schema(schema: &str, value: Value) -> Value {
    let mut members = Map::new();
    members.insert("schema".to_owned(), Value::from(schema));
    match value {
        Value::Object(inner) => members.extend(inner),
        other => {
            members.insert("value".to_owned(), other);
        }
    }
    Value::Object(members)
}

/// The text with control characters written out, those that turn the direction of writing included: a
/// provisioned name must not rearrange the operator's terminal.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            cleaned.extend(c.escape_default());
        } else {
            cleaned.push(c);
        }
    }
    cleaned
}

/// A point in time relative to `now`, in the largest unit that is whole.
pub fn relative(text: &str, now: Timestamp) -> String {
    let Ok(at) = Timestamp::parse(text) else {
        return text.to_owned();
    };
    let ms = now.millis().saturating_sub(at.millis());
    let amount = elapsed(ms.saturating_abs());
    match (amount, ms >= 0) {
        (None, _) => "just now".to_owned(),
        (Some(amount), true) => format!("{amount} ago"),
        (Some(amount), false) => format!("in {amount}"),
    }
}

/// A length of time in words; `None` below a second.
pub fn elapsed(ms: i64) -> Option<String> {
    for (unit_ms, unit) in [
        (86_400_000, "day"),
        (3_600_000, "hour"),
        (60_000, "minute"),
        (1_000, "second"),
    ] {
        let count = ms / unit_ms;
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            return Some(format!("{count} {unit}{plural}"));
        }
    }
    None
}
