//! Reads the sources in order of precedence: defaults, the file, `conf.d/*.toml` beside it, the
//! environment, `--set`. A list replaces a list. All problems are collected.

use std::fs;
use std::io;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::path::PathBuf;

use toml::de::DeTable;
use toml::de::DeValue;

use crate::config::Config;
use crate::config::check;
use crate::config::check::Said;
use crate::config::error::Origin;
use crate::config::error::Problem;
use crate::config::error::Problems;
use crate::config::keys;
use crate::config::keys::KEYS;
use crate::config::keys::Key;
use crate::config::value::Value;

/// Where the configuration is unless `--config` names another file.
pub const DEFAULT_FILE: &str = "/etc/rollcall/rollcall.toml";

/// Larger files are refused: they are no configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Everything the configuration is made from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file that `--config` names; it must be there. `None`: [`DEFAULT_FILE`], if it is there.
    pub file: Option<PathBuf>,
    /// Names and values of environment variables; those without our prefix are passed over.
    pub environment: Vec<(String, String)>,
    /// The texts given with `--set`: `section.key=value`.
    pub flags: Vec<String>,
    /// This machine's name.
    pub hostname: String,
}

/// Reads and checks the configuration.
///
/// # Errors
///
/// All problems at once.
pub fn load(sources: &Sources) -> Result<Config, Problems> {
    let mut reading = Reading::default();
    let file = match &sources.file {
        Some(file) => Some(file.clone()),
        None => Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.exists()),
    };
    if let Some(file) = &file {
        reading.file(file);
    }
    let beside = file.unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    reading.folder(&beside.with_file_name("conf.d"));
    reading.environment(&sources.environment);
    reading.flags(&sources.flags);
    let Reading {
        said,
        mut problems,
        half_read,
    } = reading;
    if half_read {
        return Err(Problems(problems));
    }
    match check::settle(said, &sources.hostname) {
        Ok(config) if problems.is_empty() => Ok(config),
        Ok(_) => Err(Problems(problems)),
        Err(broken) => {
            problems.extend(broken);
            Err(Problems(problems))
        }
    }
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    /// What the sources said.
    said: Said,
    /// What was wrong with it.
    problems: Vec<Problem>,
    /// A file was not understood, so that rules across keys would accuse the innocent.
    half_read: bool,
}

impl Reading {
    /// Notes a problem.
    fn problem(&mut self, origin: Origin, text: String) {
        self.problems.push(Problem { origin, text });
    }

    /// Takes a key's value.
    fn set(&mut self, key: &'static Key, value: &Value, origin: Origin) {
        match (key.set)(&mut self.said.draft, value) {
            Ok(()) => {
                self.said.failed.remove(key.name);
                self.said.origins.insert(key.name, origin);
            }
            Err(text) => {
                self.said.failed.insert(key.name);
                self.problem(origin, format!("{}: {text}", key.name));
            }
        }
    }

    /// Reads the files of a `conf.d`, in the order of their names.
    fn folder(&mut self, folder: &Path) {
        let mut files = Vec::new();
        let listed = fs::read_dir(folder).and_then(|entries| {
            for entry in entries {
                let path = entry?.path();
                if path
                    .extension()
                    .is_some_and(|extension| extension == "toml")
                {
                    files.push(path);
                }
            }
            Ok(())
        });
        match listed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.problem(start_of(folder), format!("cannot be listed: {error}"));
            }
            _ => {}
        }
        files.sort();
        for file in files {
            self.file(&file);
        }
    }

    /// Reads a file.
    fn file(&mut self, path: &Path) {
        match read_text(path) {
            Ok(text) => self.text(path, &text),
            Err(error) => self.problem(start_of(path), format!("cannot be read: {error}")),
        }
    }

    /// Reads the text of a file.
    fn text(&mut self, path: &Path, text: &str) {
        let place = |span: Range<usize>| place(path, text, span.start);
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut found = Vec::new();
        self.half_read |= !errors.is_empty();
        for error in errors {
            let at = error.span().unwrap_or_default();
            found.push((at.start, Err((place(at), error.message().to_owned()))));
        }
        for (section, content) in table.get_ref() {
            let name: &str = section.get_ref();
            let at = section.span();
            let Some(section_known) = section_of(name) else {
                found.push((at.start, Err((place(at), unknown_section(name)))));
                continue;
            };
            let DeValue::Table(keys) = content.get_ref() else {
                let text = format!("{name} is a section: write [{name}] and its keys below it");
                found.push((at.start, Err((place(at), text))));
                continue;
            };
            for (key, value) in keys {
                let full = format!("{section_known}.{}", key.get_ref());
                let (key_at, value_at) = (key.span(), value.span());
                found.push(match keys::find(&full) {
                    Some(key) => {
                        let origin = place(value_at);
                        (key_at.start, Ok((key, simple(value.get_ref()), origin)))
                    }
                    None => (key_at.start, Err((place(key_at), unknown_key(&full)))),
                });
            }
        }
        // The parser hands out keys by name; people read from top to bottom.
        found.sort_by_key(|(at, _)| *at);
        for (_, item) in found {
            match item {
                Ok((key, value, origin)) => self.set(key, &value, origin),
                Err((origin, text)) => self.problem(origin, text),
            }
        }
    }

    /// Reads `ROLLCALL_SECTION__KEY`.
    fn environment(&mut self, variables: &[(String, String)]) {
        let mut ours: Vec<(&str, &str, &str)> = variables
            .iter()
            .filter_map(|(name, value)| {
                let rest = name.strip_prefix("ROLLCALL_")?;
                Some((name.as_str(), rest, value.as_str()))
            })
            .collect();
        ours.sort_unstable();
        for (name, rest, value) in ours {
            let origin = Origin::Environment(name.to_owned());
            let Some((section, key)) = rest.split_once("__") else {
                // Others, such as ROLLCALL_SOCKET, are not ours unless they look like a slip.
                let meant = KEYS
                    .iter()
                    .find(|key| key.name.replace('.', "_").to_uppercase() == *rest);
                if let Some(meant) = meant {
                    let right = variable(meant.name);
                    self.problem(origin, format!("has no effect; did you mean {right}?"));
                }
                continue;
            };
            let full = format!("{section}.{key}").to_lowercase();
            match keys::find(&full).filter(|key| variable(key.name) == name) {
                Some(key) => self.set(key, &Value::Bare(value.to_owned()), origin),
                None => {
                    let text = match nearest(&full) {
                        Some(near) => format!("unknown key; did you mean {}?", variable(near)),
                        None => "unknown key".to_owned(),
                    };
                    self.problem(origin, text);
                }
            }
        }
    }

    /// Reads `--set section.key=value`.
    fn flags(&mut self, flags: &[String]) {
        for flag in flags {
            let Some((name, value)) = flag.split_once('=') else {
                let text = "expected section.key=value".to_owned();
                self.problem(Origin::Flag(flag.clone()), text);
                continue;
            };
            let origin = Origin::Flag(name.to_owned());
            match keys::find(name) {
                Some(key) => self.set(key, &Value::Bare(value.to_owned()), origin),
                None => self.problem(origin, unknown_key(name)),
            }
        }
    }
}

/// Reads a file that is not too large.
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = fs::File::open(path)?;
    let read = file
        .take(FILE_BYTES_MAX.saturating_add(1))
        .read_to_string(&mut text)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(io::Error::other(
            "larger than 1 MiB, which is no configuration",
        ));
    }
    Ok(text)
}

/// The start of a file.
fn start_of(path: &Path) -> Origin {
    place(path, "", 0)
}

/// The place of a byte in a file.
fn place(path: &Path, text: &str, at: usize) -> Origin {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before
        .rfind('\n')
        .map_or(0, |newline| newline.saturating_add(1));
    let column = before.get(line_start..).unwrap_or_default().chars().count();
    Origin::File {
        path: path.to_owned(),
        line: before.matches('\n').count().saturating_add(1),
        column: column.saturating_add(1),
    }
}

/// A TOML value without its span.
fn simple(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(
                |_| Value::Other("a very large integer".to_owned()),
                Value::Integer,
            ),
        DeValue::Float(number) => Value::Other(format!("the number {}", number.as_str())),
        DeValue::Boolean(truth) => Value::Other(truth.to_string()),
        DeValue::Datetime(time) => Value::Other(format!("the time {time}")),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| simple(item.get_ref())).collect())
        }
        DeValue::Table(_) => Value::Other("a table".to_owned()),
    }
}

/// The section of this name.
fn section_of(name: &str) -> Option<&'static str> {
    KEYS.iter()
        .map(Key::section)
        .find(|section| *section == name)
}

/// The message for a section that there is not.
fn unknown_section(name: &str) -> String {
    let near = KEYS
        .iter()
        .map(Key::section)
        .min_by_key(|section| strsim::damerau_levenshtein(section, name))
        .filter(|section| near_enough(section, name));
    match near {
        Some(near) => format!("unknown section [{name}]; did you mean [{near}]?"),
        None => {
            let mut sections: Vec<&str> = KEYS.iter().map(Key::section).collect();
            sections.dedup();
            format!(
                "unknown section [{name}]; there are {}",
                sections.join(", ")
            )
        }
    }
}

/// The message for a key that there is not.
fn unknown_key(full: &str) -> String {
    if let Some(near) = nearest(full) {
        return format!("unknown key {full}; did you mean {near}?");
    }
    let section = full.split('.').next().unwrap_or_default();
    let there: Vec<&str> = KEYS
        .iter()
        .filter(|key| key.section() == section)
        .map(|key| key.name)
        .collect();
    if there.is_empty() {
        format!("unknown key {full}; keys are written section.key, such as scim.listen")
    } else {
        format!("unknown key {full}; there are {}", there.join(", "))
    }
}

/// The known key that is most like this name, if any is alike.
fn nearest(full: &str) -> Option<&'static str> {
    let alike = KEYS
        .iter()
        .map(|key| key.name)
        .min_by_key(|name| strsim::damerau_levenshtein(name, full))
        .filter(|name| near_enough(name, full));
    // The right key in the wrong section.
    let elsewhere = || {
        let (section, leaf) = full.split_once('.')?;
        section_of(section)?;
        let mut same = KEYS
            .iter()
            .map(|key| key.name)
            .filter(|name| name.split_once('.').is_some_and(|(_, key)| key == leaf));
        same.next()
    };
    alike.or_else(elsewhere)
}

/// Whether one may have been meant for the other: at most a third of it is different.
fn near_enough(known: &str, typed: &str) -> bool {
    strsim::damerau_levenshtein(known, typed) <= known.len().div_ceil(3).min(4)
}

/// The environment variable of a key.
fn variable(key: &str) -> String {
    format!("ROLLCALL_{}", key.replace('.', "__").to_uppercase())
}
