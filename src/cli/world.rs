//! What surrounds a command: its streams, its environment, the machine. An argument, so that
//! tests can run whole commands.

use std::io::BufRead;
use std::io::Read;

use crate::cli::failed::Failed;
use crate::cli::output::Output;
use crate::control::failure::Failure;
use crate::control::failure::FailureKind;

/// Longest line that is read from standard input, in bytes.
const LINE_BYTES_MAX: u64 = 4096;

/// What surrounds a command.
pub struct World<'a> {
    /// Standard input.
    pub stdin: &'a mut dyn BufRead,
    /// Whether a person sits at it.
    pub interactive: bool,
    /// The streams it prints to.
    pub output: Output<'a>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// This machine's name.
    pub hostname: String,
}

impl World<'_> {
    /// The value of an environment variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let mut found = self.environment.iter().filter(|(key, _)| key == name);
        found
            .next()
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The name the caller goes by. Nobody checks it.
    pub fn stated_name(&self) -> String {
        let names = ["SUDO_USER", "USER", "LOGNAME"];
        let name = names.iter().find_map(|name| self.variable(name));
        name.unwrap_or_default().to_owned()
    }

    /// Reads a line from standard input, without the white space around it.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn read_line(&mut self) -> Result<String, Failed> {
        let mut line = String::new();
        let stdin: &mut dyn BufRead = self.stdin;
        let read = stdin.take(LINE_BYTES_MAX).read_line(&mut line);
        read.map_err(|error| {
            Failed::usage(
                "standard input cannot be read",
                &error.to_string(),
                "give it one line of text",
            )
        })?;
        Ok(line.trim().to_owned())
    }

    /// Whether a destructive command has to ask first. It cannot ask where nobody sits.
    ///
    /// # Errors
    ///
    /// Without a terminal and without `--yes`.
    pub fn must_ask(&self, yes: bool, what: &str) -> Result<bool, Failed> {
        if !yes && !self.interactive {
            return Err(Failed::usage(
                &format!("{what} was not confirmed"),
                "it cannot be undone, and standard input is not a terminal to ask at",
                "add --yes",
            ));
        }
        Ok(!yes)
    }

    /// Has the person type `word`.
    ///
    /// # Errors
    ///
    /// When something else was typed.
    pub fn confirm(&mut self, question: &str, word: &str) -> Result<(), Failed> {
        self.output.say(question)?;
        self.output.ask(&format!("Type {word} to go on: "))?;
        if self.read_line()? == word {
            return Ok(());
        }
        Err(Failed::Refused(
            Failure::new(FailureKind::Internal, "nothing was changed".to_owned())
                .why(format!("what was typed is not {word}")),
        ))
    }
}
