//! What is said over the sockets: one conversation is one connection.
//!
//! ```text
//! client → {"protocol":1,"program":"rollcall 0.1.0","name":"joy"} LF    the hello
//! client → {"verb":"directory.create","name":"entra",…} LF              one request
//! server → {"ok":…} LF   or   {"error":{"kind":…,"what":…,…}} LF        its reply, then the end
//! ```
//!
//! The hello may gain members; a server of another version must still be able to answer it. The
//! numbers of the protocol change when an old client would misunderstand a new server.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroize;

use crate::control::failure::Failure;
use crate::control::failure::FailureKind;

/// The version spoken here.
pub const PROTOCOL: u32 = 1;
/// Longest hello and longest request, in bytes, without the line's end.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// Longest reply that a client reads, in bytes.
pub const REPLY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Longest stated name, in characters.
pub const NAME_CHARS_MAX: usize = 64;

/// The first line of a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The version the client speaks.
    pub protocol: u32,
    /// The client's program, for the log.
    #[serde(default)]
    pub program: String,
    /// The name the person stated; nobody has checked it.
    #[serde(default)]
    pub name: String,
}

/// The profile of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileName {
    /// Forgiving as Entra needs it.
    Entra,
    /// By the letter of the RFCs.
    Strict,
}

/// What a directory's token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScopeName {
    /// Read and write.
    Provision,
    /// Read.
    Read,
}

/// The text of a token on its way to be verified: not printed, wiped when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenText(String);

impl TokenText {
    /// Takes the text into keeping.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself. Every caller is a place to review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(token)")
    }
}

impl Drop for TokenText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What a client asks for: the use cases of the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", deny_unknown_fields)]
pub enum Request {
    /// One screen about the whole appliance.
    #[serde(rename = "status")]
    Status {},
    /// Makes a directory.
    #[serde(rename = "directory.create")]
    DirectoryCreate {
        /// Its name.
        name: String,
        /// Whether it has no groups.
        users_only: bool,
        /// How forgiving it is.
        profile: ProfileName,
    },
    /// All directories.
    #[serde(rename = "directory.list")]
    DirectoryList {},
    /// One directory.
    #[serde(rename = "directory.show")]
    DirectoryShow {
        /// Its name.
        name: String,
    },
    /// Lets clients in again.
    #[serde(rename = "directory.enable")]
    DirectoryEnable {
        /// Its name.
        name: String,
    },
    /// Keeps everything and lets no client in.
    #[serde(rename = "directory.disable")]
    DirectoryDisable {
        /// Its name.
        name: String,
    },
    /// Removes a directory with its users, groups and tokens.
    #[serde(rename = "directory.delete")]
    DirectoryDelete {
        /// Its name.
        name: String,
    },
    /// Makes a token; the reply is the only place where its text is ever seen.
    #[serde(rename = "token.create")]
    TokenCreate {
        /// The directory's name.
        directory: String,
        /// What it may do.
        scope: ScopeName,
        /// What the operator calls it.
        #[serde(default)]
        label: Option<String>,
        /// Seconds from now until it stops working; absent = never.
        #[serde(default)]
        expires_after_s: Option<u64>,
    },
    /// All tokens.
    #[serde(rename = "token.list")]
    TokenList {
        /// Only those of this directory.
        #[serde(default)]
        directory: Option<String>,
    },
    /// One token.
    #[serde(rename = "token.show")]
    TokenShow {
        /// Its id, or the beginning of it.
        id: String,
    },
    /// Whether a token's text would be accepted, and why not.
    #[serde(rename = "token.verify")]
    TokenVerify {
        /// The text.
        token: TokenText,
    },
    /// Makes a token useless, at once and for ever.
    #[serde(rename = "token.revoke")]
    TokenRevoke {
        /// Its id, or the beginning of it.
        id: String,
        /// Why, for the audit.
        #[serde(default)]
        reason: Option<String>,
    },
    /// Users of one directory or of all.
    #[serde(rename = "user.list")]
    UserList {
        /// The directory's name; absent = all directories.
        #[serde(default)]
        directory: Option<String>,
        /// Only those that match this SCIM filter.
        #[serde(default)]
        filter: Option<String>,
        /// How many at most; absent = as many as the server likes.
        #[serde(default)]
        limit: Option<u32>,
        /// The `next` of the page before.
        #[serde(default)]
        after: Option<String>,
    },
    /// One user.
    #[serde(rename = "user.show")]
    UserShow {
        /// The directory's name; absent = all directories.
        #[serde(default)]
        directory: Option<String>,
        /// The user's id or userName.
        user: String,
    },
    /// Groups of one directory or of all.
    #[serde(rename = "group.list")]
    GroupList {
        /// The directory's name; absent = all directories.
        #[serde(default)]
        directory: Option<String>,
        /// Only those that match this SCIM filter.
        #[serde(default)]
        filter: Option<String>,
        /// How many at most; absent = as many as the server likes.
        #[serde(default)]
        limit: Option<u32>,
        /// The `next` of the page before.
        #[serde(default)]
        after: Option<String>,
    },
    /// One group.
    #[serde(rename = "group.show")]
    GroupShow {
        /// The directory's name; absent = all directories.
        #[serde(default)]
        directory: Option<String>,
        /// The group's id or displayName.
        group: String,
    },
    /// What happened to a user.
    #[serde(rename = "user.history")]
    UserHistory {
        /// The directory's name; absent = whichever knows the user.
        #[serde(default)]
        directory: Option<String>,
        /// The user's id, or the userName of a living one.
        user: String,
        /// How many entries at most; absent = as many as the server likes.
        #[serde(default)]
        limit: Option<u32>,
        /// Only entries before this one.
        #[serde(default)]
        before: Option<u64>,
    },
    /// What happened to a group.
    #[serde(rename = "group.history")]
    GroupHistory {
        /// The directory's name; absent = whichever knows the group.
        #[serde(default)]
        directory: Option<String>,
        /// The group's id, or the displayName of a living one.
        group: String,
        /// How many entries at most; absent = as many as the server likes.
        #[serde(default)]
        limit: Option<u32>,
        /// Only entries before this one.
        #[serde(default)]
        before: Option<u64>,
    },
    /// What operators did.
    #[serde(rename = "audit.list")]
    AuditList {
        /// How many entries at most; absent = as many as the server likes.
        #[serde(default)]
        limit: Option<u32>,
        /// Only entries before this one.
        #[serde(default)]
        before: Option<u64>,
    },
    /// Whether audit and histories are what was written.
    #[serde(rename = "audit.verify")]
    AuditVerify {},
    /// The store in detail.
    #[serde(rename = "storage.status")]
    StorageStatus {},
    /// Whether everything stored is as it should be.
    #[serde(rename = "storage.verify")]
    StorageVerify {
        /// Whether to mend what can be mended.
        #[serde(default)]
        repair: bool,
    },
    /// Writes a base, and with it the disk is given back what is not needed.
    #[serde(rename = "storage.compact")]
    StorageCompact {
        /// Leaves the state as it is.
        #[serde(default)]
        base_only: bool,
    },
}

impl Request {
    /// Every verb.
    pub const VERBS: [&str; 23] = [
        "status",
        "directory.create",
        "directory.list",
        "directory.show",
        "directory.enable",
        "directory.disable",
        "directory.delete",
        "token.create",
        "token.list",
        "token.show",
        "token.verify",
        "token.revoke",
        "user.list",
        "user.show",
        "group.list",
        "group.show",
        "user.history",
        "group.history",
        "audit.list",
        "audit.verify",
        "storage.status",
        "storage.verify",
        "storage.compact",
    ];

    /// The verb of this request.
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Status {} => "status",
            Self::DirectoryCreate { .. } => "directory.create",
            Self::DirectoryList {} => "directory.list",
            Self::DirectoryShow { .. } => "directory.show",
            Self::DirectoryEnable { .. } => "directory.enable",
            Self::DirectoryDisable { .. } => "directory.disable",
            Self::DirectoryDelete { .. } => "directory.delete",
            Self::TokenCreate { .. } => "token.create",
            Self::TokenList { .. } => "token.list",
            Self::TokenShow { .. } => "token.show",
            Self::TokenVerify { .. } => "token.verify",
            Self::TokenRevoke { .. } => "token.revoke",
            Self::UserList { .. } => "user.list",
            Self::UserShow { .. } => "user.show",
            Self::GroupList { .. } => "group.list",
            Self::GroupShow { .. } => "group.show",
            Self::UserHistory { .. } => "user.history",
            Self::GroupHistory { .. } => "group.history",
            Self::AuditList { .. } => "audit.list",
            Self::AuditVerify {} => "audit.verify",
            Self::StorageStatus {} => "storage.status",
            Self::StorageVerify { .. } => "storage.verify",
            Self::StorageCompact { .. } => "storage.compact",
        }
    }

    /// What a request that changes something is about: a name or an id, which are no secrets. Empty
    /// for the others.
    pub fn subject(&self) -> &str {
        match self {
            Self::DirectoryCreate { name, .. }
            | Self::DirectoryEnable { name }
            | Self::DirectoryDisable { name }
            | Self::DirectoryDelete { name } => name,
            Self::TokenCreate { directory, .. } => directory,
            Self::TokenRevoke { id, .. } => id,
            Self::Status {}
            | Self::DirectoryList {}
            | Self::DirectoryShow { .. }
            | Self::TokenList { .. }
            | Self::TokenShow { .. }
            | Self::TokenVerify { .. }
            | Self::UserList { .. }
            | Self::UserShow { .. }
            | Self::GroupList { .. }
            | Self::GroupShow { .. }
            | Self::UserHistory { .. }
            | Self::GroupHistory { .. }
            | Self::AuditList { .. }
            | Self::AuditVerify {}
            | Self::StorageStatus {}
            | Self::StorageVerify { .. }
            | Self::StorageCompact { .. } => "",
        }
    }

    /// Whether the request changes something: the read-only socket refuses those.
    pub const fn changes(&self) -> bool {
        match self {
            Self::DirectoryCreate { .. }
            | Self::DirectoryEnable { .. }
            | Self::DirectoryDisable { .. }
            | Self::DirectoryDelete { .. }
            | Self::TokenCreate { .. }
            | Self::TokenRevoke { .. }
            | Self::StorageCompact { .. } => true,
            Self::StorageVerify { repair } => *repair,
            Self::Status {}
            | Self::DirectoryList {}
            | Self::DirectoryShow { .. }
            | Self::TokenList { .. }
            | Self::TokenShow { .. }
            | Self::TokenVerify { .. }
            | Self::UserList { .. }
            | Self::UserShow { .. }
            | Self::GroupList { .. }
            | Self::GroupShow { .. }
            | Self::UserHistory { .. }
            | Self::GroupHistory { .. }
            | Self::AuditList { .. }
            | Self::AuditVerify {}
            | Self::StorageStatus {} => false,
        }
    }

    /// Reads a request's line.
    ///
    /// # Errors
    ///
    /// The failure to reply with.
    pub fn parse(line: &[u8]) -> Result<Self, Failure> {
        let value: Value = serde_json::from_slice(line).map_err(|error| not_json(&error))?;
        let verb = value.get("verb").and_then(Value::as_str);
        let Some(verb) = verb else {
            return Err(Failure::new(
                FailureKind::Protocol,
                "the request has no verb".to_owned(),
            ));
        };
        if !Self::VERBS.contains(&verb) {
            return Err(Failure::new(
                FailureKind::UnknownVerb,
                format!("rollcall does not know the verb {verb:?}"),
            )
            .why("the command is of a newer version than the running rollcall".to_owned())
            .fix("restart rollcall, so that it runs the installed version".to_owned()));
        }
        let verb = verb.to_owned();
        serde_json::from_value(value).map_err(|error| {
            Failure::new(
                FailureKind::Invalid,
                format!("the request {verb} is not as it should be"),
            )
            .why(error.to_string())
        })
    }
}

impl Hello {
    /// Reads a hello's line and checks the version.
    ///
    /// # Errors
    ///
    /// The failure to reply with.
    pub fn parse(line: &[u8]) -> Result<Self, Failure> {
        let hello: Self = serde_json::from_slice(line).map_err(|error| not_json(&error))?;
        if hello.protocol != PROTOCOL {
            return Err(Failure::new(
                FailureKind::Protocol,
                format!(
                    "the command speaks version {} of the socket's protocol, the running \
                     rollcall (version {}) speaks {PROTOCOL}",
                    hello.protocol,
                    env!("CARGO_PKG_VERSION")
                ),
            )
            .why("command and running rollcall are of different versions".to_owned())
            .fix("restart rollcall, so that it runs the installed version".to_owned()));
        }
        Ok(hello)
    }
}

/// The line is not JSON of the expected form.
fn not_json(error: &serde_json::Error) -> Failure {
    Failure::new(
        FailureKind::Protocol,
        "what arrived is not the protocol of this socket".to_owned(),
    )
    .why(error.to_string())
}

/// What a request came to.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// It was done; what it yields. May hold a new token's text.
    Ok(Value),
    /// It was not done.
    Error(Failure),
}

impl fmt::Debug for Reply {
    /// Leaves the value out: it may hold a token's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok(_) => f.write_str("Ok(..)"),
            Self::Error(failure) => failure.fmt(f),
        }
    }
}
