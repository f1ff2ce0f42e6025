//! The project's own files as the house rules see them: Rust text without comments and literals, and the manifest.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// A Rust file.
#[derive(Debug)]
pub struct Source {
    /// Path from the top of the project, with `/`.
    pub path: String,
    /// The text as it is.
    pub text: String,
    /// The text with comments and the content of literals blanked out; lines stay where they are.
    pub code: String,
}

impl Source {
    /// The room that the file belongs to: the first folder, or file without its ending, under `src/`. `main` and `lib`
    /// are rooms of one file.
    pub fn room(&self) -> Option<&str> {
        let rest = self.path.strip_prefix("src/")?;
        let first = rest.split('/').next().unwrap_or(rest);
        Some(first.strip_suffix(".rs").unwrap_or(first))
    }

    /// Number of the line that holds byte `offset` of the code.
    pub fn line(&self, offset: usize) -> usize {
        self.code[..offset].matches('\n').count() + 1
    }
}

/// The top of the project.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under `src` and `tests`, in order of their paths.
pub fn rust_files() -> Vec<Source> {
    let root = root();
    let mut paths = Vec::new();
    for folder in ["src", "tests"] {
        collect(&root.join(folder), &mut paths);
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let code = blank(&text);
            let path = path.strip_prefix(&root).unwrap().display().to_string();
            Source { path, text, code }
        })
        .collect()
}

/// Adds the Rust files under `folder`.
fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// Names of the dependencies in one section of `Cargo.toml`, as they stand there.
pub fn dependencies(section: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let header = format!("[{section}]");
    let lines = manifest
        .lines()
        .skip_while(|line| line.trim() != header)
        .skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().to_owned())
        .filter(|name| !name.starts_with('#'))
        .collect()
}

/// Blanks comments and literals, keeping line ends.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = comment(rest).or_else(|| literal(rest));
        match length {
            Some(length) => {
                code.extend(
                    rest[..length]
                        .chars()
                        .map(|c| if c == '\n' { '\n' } else { ' ' }),
                );
                rest = &rest[length..];
            }
            None => {
                // A whole word at once, so that the `r` of `for"` or of `r#type` begins no literal.
                let word = rest
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                let step = word.max(first.len_utf8());
                code.push_str(&rest[..step]);
                rest = &rest[step..];
            }
        }
    }
    code
}

/// Length of the comment that `text` begins with.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    // Block comments nest.
    let (mut depth, mut at) = (0_usize, 0_usize);
    while at < text.len() {
        let here = &text[at..];
        let step = if here.starts_with("/*") {
            depth += 1;
            2
        } else if here.starts_with("*/") {
            depth -= 1;
            2
        } else {
            here.chars().next().map_or(1, char::len_utf8)
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    Some(at)
}

/// Length of the string or character literal that `text` begins with; lifetimes are none.
fn literal(text: &str) -> Option<usize> {
    let unprefixed = ["br", "cr", "r", "b", "c"].iter().find_map(|prefix| {
        text.strip_prefix(prefix)
            .filter(|rest| rest.starts_with(['"', '#', '\'']))
    });
    let raw = unprefixed.is_some_and(|rest| text[..text.len() - rest.len()].ends_with('r'));
    let body = unprefixed.unwrap_or(text);
    let before = text.len() - body.len();
    if raw {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let inside = body[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(before + hashes + 1 + inside.find(&end)? + end.len());
    }
    if let Some(inside) = body.strip_prefix('"') {
        return Some(before + 1 + quoted(inside, '"')?);
    }
    let inside = body.strip_prefix('\'')?;
    let is_character = inside.starts_with('\\') || inside.chars().nth(1) == Some('\'');
    is_character.then(|| quoted(inside, '\'').map(|length| before + 1 + length))?
}

/// Length up to and with the closing `quote`; a backslash hides what follows.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut hidden = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if hidden => hidden = false,
            '\\' => hidden = true,
            _ if c == quote => return Some(at + c.len_utf8()),
            _ => {}
        }
    }
    None
}

#[test]
fn comments_and_literals_are_blanked() {
    for (text, code) in [
        ("a // b::c\nd", "a        \nd"),
        ("/* x /* y */ z */ a", "                  a"),
        (r#"f("crate::x", 'c', b'\'')"#, "f(          ,    ,      )"),
        (
            "let x: &'a str = r#\"crate::\"y\"#;",
            "let x: &'a str =               ;",
        ),
        ("'x' 'y", "    'y"),
        ("for\"a\"", "for   "),
        ("\"a\\\"b\" c", "       c"),
    ] {
        assert_eq!(blank(text), code, "{text}");
    }
}
