//! The arguments of the command line, as they are typed. Noun, then verb; what they do is in one
//! file a noun beside this one.

use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;

use crate::control::protocol::ProfileName;
use crate::control::protocol::ScopeName;

/// Text after the help of the whole command.
const EXIT_CODES: &str = "\
Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 conflict, 5 rollcall not reachable, \
6 not permitted, 7 a check found problems.";

/// A SCIM 2.0 user directory: Microsoft Entra ID provisions into it, applications read from it.
#[derive(Debug, Parser)]
#[command(name = "rollcall", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Arguments {
    /// Socket of the running rollcall [env: ROLLCALL_SOCKET] [default: /run/rollcall/admin.sock]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// How to print: for people, or as JSON with a "schema"
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns
    Table,
    /// One JSON value
    Json,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server in the foreground; systemd uses this
    Serve(Serve),
    /// Run a complete server to try out, with a directory and a token, on https://localhost:8443
    Try(Try),
    /// Show how the running rollcall is, and what needs attention
    Status,
    /// Directories: isolated sets of users and groups, each with its own Tenant URL
    #[command(subcommand)]
    Directory(Directory),
    /// Tokens: what clients of a directory sign in with
    #[command(subcommand)]
    Token(Token),
    /// Users, as they were provisioned
    #[command(subcommand)]
    User(User),
    /// Groups, as they were provisioned
    #[command(subcommand)]
    Group(Group),
    /// What operators did, and whether that and the histories are what was written
    #[command(subcommand)]
    Audit(Audit),
    /// What is stored: how it is, whether it is sound, and room on the disk
    #[command(subcommand)]
    Storage(Storage),
    /// The configuration
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Show the version of this command
    Version,
}

/// Where the configuration comes from.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigSources {
    /// The configuration's file [default: /etc/rollcall/rollcall.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set a key, over all files and variables; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
}

/// `serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub sources: ConfigSources,
}

/// `try`
#[derive(Debug, Args)]
pub struct Try {
    /// Port on localhost
    #[arg(long, value_name = "N", default_value_t = 8443)]
    pub port: u16,
    /// Folder for everything it keeps
    #[arg(long, value_name = "D", default_value = "rollcall-try")]
    pub dir: PathBuf,
}

/// The verbs of `directory`.
#[derive(Debug, Subcommand)]
pub enum Directory {
    /// Make a directory and show its Tenant URL
    Create {
        /// 1 to 40 characters of a-z, 0-9 and -
        name: String,
        /// No groups: writing one is refused
        #[arg(long)]
        users_only: bool,
        /// How forgiving it is
        #[arg(long, value_enum, default_value_t = Profile::Entra)]
        profile: Profile,
    },
    /// List all directories
    List,
    /// Show one directory
    Show {
        /// Its name
        name: String,
    },
    /// Let clients in again
    Enable {
        /// Its name
        name: String,
    },
    /// Refuse every client, and keep everything
    Disable {
        /// Its name
        name: String,
    },
    /// Remove a directory with its users, groups and tokens
    Delete {
        /// Its name
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// How forgiving a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// As forgiving as Microsoft Entra ID needs it
    Entra,
    /// By the letter of the RFCs
    Strict,
}

impl Profile {
    /// How the protocol calls it.
    pub const fn name(self) -> ProfileName {
        match self {
            Self::Entra => ProfileName::Entra,
            Self::Strict => ProfileName::Strict,
        }
    }
}

/// The verbs of `token`.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token and show it, this once
    Create {
        /// The directory it is for
        #[arg(long, value_name = "NAME")]
        directory: String,
        /// What it may do
        #[arg(long, value_enum)]
        scope: Scope,
        /// What you call it
        #[arg(long, value_name = "L")]
        label: Option<String>,
        /// How long it works: a duration such as 90d, or never
        #[arg(long, value_name = "90d|never", default_value = "never")]
        expires: String,
    },
    /// List tokens
    List {
        /// Only those of this directory
        #[arg(long, value_name = "NAME")]
        directory: Option<String>,
    },
    /// Show one token, without its secret
    Show {
        /// Its id, or the beginning of it
        id: String,
    },
    /// Tell whether a token would be accepted; it is read from standard input
    Verify,
    /// Make a token useless, at once and for ever
    Revoke {
        /// Its id, or the beginning of it
        id: String,
        /// Why, for the audit
        #[arg(long, value_name = "R")]
        reason: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    /// Read and write: for Entra
    Provision,
    /// Read: for applications
    Read,
}

impl Scope {
    /// How the protocol calls it.
    pub const fn name(self) -> ScopeName {
        match self {
            Self::Provision => ScopeName::Provision,
            Self::Read => ScopeName::Read,
        }
    }
}

/// What to list.
#[derive(Debug, Args)]
pub struct Listing {
    /// Only this directory
    #[arg(long, value_name = "NAME")]
    pub directory: Option<String>,
    /// Only those that match a SCIM filter, such as 'userName eq "joy@corp.example"'
    #[arg(long, value_name = "SCIM")]
    pub filter: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: Option<u32>,
    /// Go on after a page: what the page before called "next"
    #[arg(long, value_name = "NEXT")]
    pub after: Option<String>,
}

/// Whose story to tell.
#[derive(Debug, Args)]
pub struct Story {
    /// Its id, or the userName (displayName) of one that is still there
    #[arg(value_name = "ID")]
    pub name: String,
    /// The directory to look in
    #[arg(long, value_name = "NAME")]
    pub directory: Option<String>,
    /// How many entries at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: Option<u32>,
    /// Only what came before this entry: what the page before called "next"
    #[arg(long, value_name = "NUMBER")]
    pub before: Option<u64>,
}

/// The verbs of `audit`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List what operators and the command line did, newest first
    List {
        /// How many entries at most
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: Option<u32>,
        /// Only what came before this entry: what the page before called "next"
        #[arg(long, value_name = "NUMBER")]
        before: Option<u64>,
    },
    /// Check the audit and every directory's history: whether anything was changed, cut or taken out
    Verify,
}

/// The verbs of `storage`.
#[derive(Debug, Subcommand)]
pub enum Storage {
    /// Show how far the store is, what its parts take of the disk, and what it does beside
    Status,
    /// Check everything stored, every index, reference and rule against the records; takes a while
    Verify {
        /// Mend what can be mended, after showing what that is
        #[arg(long)]
        repair: bool,
        /// Do not ask
        #[arg(long, requires = "repair")]
        yes: bool,
    },
    /// Write a base, drop the commit log before it, and rebuild the state; serving goes on
    Compact {
        /// Leave the state as it is
        #[arg(long)]
        base_only: bool,
    },
}

/// The verbs of `user`.
#[derive(Debug, Subcommand)]
pub enum User {
    /// List users
    List(Listing),
    /// Show one user with all attributes
    Show {
        /// The user's id or userName
        user: String,
        /// The directory to look in
        #[arg(long, value_name = "NAME")]
        directory: Option<String>,
    },
    /// Tell what happened to one user, newest first; a deleted one too, by its id
    History(Story),
}

/// The verbs of `group`.
#[derive(Debug, Subcommand)]
pub enum Group {
    /// List groups
    List(Listing),
    /// Show one group with all attributes
    Show {
        /// The group's id or displayName
        group: String,
        /// The directory to look in
        #[arg(long, value_name = "NAME")]
        directory: Option<String>,
    },
    /// Tell what happened to one group, newest first; a deleted one too, by its id
    History(Story),
}

/// The verbs of `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Tell everything that is wrong with the configuration, at once
    Check {
        /// The configuration's file
        #[arg(conflicts_with = "config")]
        file: Option<PathBuf>,
        /// Where the configuration comes from.
        #[command(flatten)]
        sources: ConfigSources,
    },
    /// Show the keys that are set
    Show {
        /// Show the defaults too
        #[arg(long)]
        effective: bool,
        /// Show where each value comes from
        #[arg(long)]
        origin: bool,
        /// Where the configuration comes from.
        #[command(flatten)]
        sources: ConfigSources,
    },
}
