//! Where log records go, and in which form: the journal with fields, JSON lines, or text for people.
//!
//! Fields that every room uses alike: `request_id`, `directory`, `reason`, `token`. In the journal a field's name gets the prefix
//! `ROLLCALL_`, so that `journalctl -u rollcall ROLLCALL_REASON=uniqueness` works. Secrets have no `Debug` and no `Display`
//! ([`crate::base::secret::Secret`]) and so cannot come here.

use std::fmt;
use std::io;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use rustix::fs::fstat;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

/// In which form records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// The journal when systemd has connected stderr to it, else text.
    #[default]
    Auto,
    /// The journal.
    Journald,
    /// One JSON object a line, on stderr.
    Json,
    /// Text for people, on stderr; in colour on a terminal.
    Pretty,
}

/// What to write, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// `error`, `warn`, `info`, `debug` or `trace`; also directives such as `info,rollcall::store=debug`.
    pub level: String,
    /// The form.
    pub format: LogFormat,
    /// The variable `JOURNAL_STREAM` of the environment, which systemd sets to the device and inode of its stream.
    pub journal_stream: Option<String>,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Auto,
            journal_stream: None,
        }
    }
}

/// Why logging cannot start, or change.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is not one.
    #[error("log.level \"{0}\" is not understood: write error, warn, info, debug or trace")]
    Level(String),
    /// The journal was asked for and does not answer.
    #[error("the journal cannot be reached: {0}; choose another log.format, such as \"pretty\"")]
    Journal(#[source] io::Error),
    /// Logging was started twice in one process.
    #[error("logging has been started already")]
    Started,
}

/// Changes the level while Rollcall runs.
#[derive(Clone, Debug)]
pub struct LogHandle(reload::Handle<EnvFilter, Registry>);

impl LogHandle {
    /// Writes records of this level from now on.
    ///
    /// # Errors
    ///
    /// [`LogError::Level`]; the level stays as it is.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        let filter = filter(level)?;
        self.0.reload(filter).map_err(|_gone| LogError::Started)
    }
}

/// The filter for a level.
fn filter(level: &str) -> Result<EnvFilter, LogError> {
    // EnvFilter would take a slip such as `inof` for the name of a module.
    let is_slip = |directive: &str| {
        !directive.contains(['=', '['])
            && (directive.is_empty() || directive.parse::<LevelFilter>().is_err())
    };
    let refused = || LogError::Level(level.to_owned());
    let directives: Vec<&str> = level.split(',').map(str::trim).collect();
    if directives.iter().any(|directive| is_slip(directive)) {
        return Err(refused());
    }
    EnvFilter::builder()
        .parse(directives.join(","))
        .map_err(|_error| refused())
}

/// Starts logging for the whole process. Panics are logged, too, from here on.
///
/// # Errors
///
/// [`LogError`]; nothing has been started then.
pub fn init(settings: &LogSettings) -> Result<LogHandle, LogError> {
    let (filter, handle) = reload::Layer::new(filter(&settings.level)?);
    let output = output(settings)?;
    tracing_subscriber::registry()
        .with(output.with_filter(filter))
        .try_init()
        .map_err(|_error| LogError::Started)?;
    std::panic::set_hook(Box::new(note_panic));
    Ok(LogHandle(handle))
}

/// A layer that writes records.
type Output = Box<dyn Layer<Registry> + Send + Sync>;

/// The layer that the settings ask for.
fn output(settings: &LogSettings) -> Result<Output, LogError> {
    let format = match settings.format {
        LogFormat::Auto => match settings.journal_stream.as_deref() {
            Some(stream) if is_stderr(stream) => match journal() {
                Ok(journal) => return Ok(journal),
                // systemd then takes what we write to stderr, without fields.
                Err(_) => LogFormat::Pretty,
            },
            _ => LogFormat::Pretty,
        },
        chosen => chosen,
    };
    Ok(match format {
        LogFormat::Journald => journal().map_err(LogError::Journal)?,
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(io::stderr)
            .boxed(),
        LogFormat::Auto | LogFormat::Pretty => tracing_subscriber::fmt::layer()
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            .with_writer(io::stderr)
            .boxed(),
    })
}

/// The layer that speaks to the journal.
fn journal() -> io::Result<Output> {
    let layer = tracing_journald::layer()?
        .with_field_prefix(Some("ROLLCALL".to_owned()))
        .with_syslog_identifier("rollcall".to_owned());
    Ok(layer.boxed())
}

/// Whether `stream`, a device and inode, is what stderr goes to (systemd.exec(5), `JOURNAL_STREAM`). A shell in a unit inherits
/// the variable and may have redirected stderr.
fn is_stderr(stream: &str) -> bool {
    let Some((device, inode)) = stream.split_once(':') else {
        return false;
    };
    fstat(io::stderr())
        .is_ok_and(|about| device.parse() == Ok(about.st_dev) && inode.parse() == Ok(about.st_ino))
}

/// Logs a panic: where always, and what only when it is a literal of the program. A message that was put together
/// may quote somebody's data.
fn note_panic(panic: &PanicHookInfo<'_>) {
    let literal = panic.payload().downcast_ref::<&'static str>();
    let what = literal
        .copied()
        .unwrap_or("(see the record at level debug)");
    let place = panic.location().map(Place);
    let place = place
        .as_ref()
        .map_or(&"an unknown place" as &dyn fmt::Display, |place| place);
    tracing::error!(reason = "panic", "panic at {place}: {what}");
    if let Some(text) = panic.payload().downcast_ref::<String>() {
        tracing::debug!(reason = "panic", "panic at {place}: {text}");
    }
}

/// File and line.
struct Place<'a>(&'a std::panic::Location<'a>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.file(), self.0.line())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::fs::fstat;

    use crate::telemetry::log::filter;
    use crate::telemetry::log::is_stderr;

    #[test]
    fn a_level_is_understood_or_refused_with_what_would_be_right() {
        for level in [
            "info",
            "WARN",
            "off",
            "info,rollcall::store=debug",
            "warn, sled=error",
        ] {
            assert!(filter(level).is_ok(), "{level:?}");
        }
        for level in ["", "inof", "info,", "loud=very", "info,[", "a=b=c"] {
            assert_eq!(
                filter(level).unwrap_err().to_string(),
                format!(
                    "log.level \"{level}\" is not understood: write error, warn, info, debug or trace"
                )
            );
        }
    }

    #[test]
    fn only_the_stream_that_stderr_goes_to_counts() {
        let about = fstat(std::io::stderr().as_fd()).unwrap();
        let (device, inode) = (about.st_dev, about.st_ino);
        for (stream, expected) in [
            (format!("{device}:{inode}"), true),
            (format!("{device}:{}", inode + 1), false),
            (format!("{}:{inode}", device + 1), false),
            (inode.to_string(), false),
            (String::new(), false),
            ("x:y".to_owned(), false),
        ] {
            assert_eq!(is_stderr(&stream), expected, "{stream}");
        }
    }
}
