//! How the appliance is: one answer that names what needs attention first, each with what to do.

use crate::admin::Admin;
use crate::admin::directories::DirectoryItem;
use crate::admin::tokens::DAY_MS;
use crate::admin::tokens::LIVE_PROVISION_MAX;
use crate::admin::tokens::ago;
use crate::admin::tokens::is_live;
use crate::base::clock::Timestamp;
use crate::store::desk::Chore;
use crate::store::health::Health;
use crate::store::health::Rung;
use crate::store::row::DirectoryRow;
use crate::store::row::Scope;
use crate::store::row::TokenRow;

/// A live token that nobody has used for this long is worth a look, in milliseconds.
const UNUSED_MS: i64 = 30 * DAY_MS;
/// The end of a token is announced this long before, in milliseconds.
const EXPIRES_SOON_MS: i64 = 30 * DAY_MS;
/// Two live provisioning tokens side by side are a rotation; after this long, a forgotten one, in milliseconds.
const ROTATION_MS: i64 = 7 * DAY_MS;

/// How the appliance is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    /// Version of the running daemon.
    pub version: &'static str,
    /// When it started.
    pub started: String,
    /// Seconds since then.
    pub uptime_s: i64,
    /// The store.
    pub store: StoreStatus,
    /// The directories, by name.
    pub directories: Vec<DirectoryItem>,
    /// The tokens of all directories.
    pub tokens: TokenCounts,
    /// What needs attention.
    pub warnings: Vec<Warning>,
}

/// How the store is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StoreStatus {
    /// Whether it takes writes.
    pub writable: bool,
    /// Why not.
    pub reason: Option<String>,
    /// The last committed transaction.
    pub seq: u64,
    /// The last transaction in the state on disk.
    pub applied_seq: u64,
    /// The last transaction in the state when it was last synced.
    pub checkpoint_seq: u64,
    /// Users in all directories.
    pub users: usize,
    /// Groups in all directories.
    pub groups: usize,
    /// Bytes of the commit log.
    pub log_bytes: u64,
    /// Bytes of the state.
    pub state_bytes: u64,
    /// Free bytes on the file system.
    pub free_bytes: u64,
    /// Reads since the start that found a damaged copy.
    pub damaged_reads: u64,
    /// What the last start had to do beyond opening.
    pub start: Vec<String>,
}

/// How many tokens there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct TokenCounts {
    /// That work.
    pub live: usize,
    /// That have expired.
    pub expired: usize,
    /// That were revoked.
    pub revoked: usize,
}

/// Something that needs attention.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    /// What kind, stable, for programs.
    pub code: &'static str,
    /// What is so.
    pub what: String,
    /// What to do.
    pub fix: String,
}

impl Admin {
    /// How the appliance is now.
    pub fn status(&self) -> Status {
        let now = self.clock.now();
        let health = self.store.health();
        let mut warnings = store_warnings(&health);
        let mut tokens = TokenCounts::default();
        let directories = self.store.directories();
        if directories.is_empty() {
            warnings.push(warning(
                "directory.none",
                "there is no directory yet, so nobody can be provisioned",
                "rollcall directory create entra",
            ));
        }
        for directory in &directories {
            let rows = self.store.tokens(directory.id);
            for row in &rows {
                let count = match (row.revoked, is_live(row, now)) {
                    (Some(_), _) => &mut tokens.revoked,
                    (None, true) => &mut tokens.live,
                    (None, false) => &mut tokens.expired,
                };
                *count = count.saturating_add(1);
            }
            let live: Vec<&TokenRow> = rows
                .iter()
                .map(AsRef::as_ref)
                .filter(|row| is_live(row, now))
                .collect();
            self.directory_warnings(directory, &live, now, &mut warnings);
        }
        Status {
            version: env!("CARGO_PKG_VERSION"),
            started: self.started.to_string(),
            uptime_s: now.millis().saturating_sub(self.started.millis()).max(0) / 1000,
            directories: directories
                .iter()
                .map(|row| self.directory_item(row))
                .collect(),
            store: store_status(health),
            tokens,
            warnings,
        }
    }

    /// What needs attention in one directory, whose `live` tokens are given oldest first.
    fn directory_warnings(
        &self,
        directory: &DirectoryRow,
        live: &[&TokenRow],
        now: Timestamp,
        warnings: &mut Vec<Warning>,
    ) {
        let name = &directory.name;
        if !directory.enabled {
            warnings.push(warning(
                "directory.disabled",
                format!("directory {name} is disabled: every request is refused with 403"),
                format!("rollcall directory enable {name}"),
            ));
        }
        let provision: Vec<_> = live
            .iter()
            .filter(|row| row.scope == Scope::Provision)
            .collect();
        if provision.is_empty() {
            warnings.push(warning(
                "token.none",
                format!("directory {name} has no live provisioning token"),
                format!("rollcall token create --directory {name} --scope provision"),
            ));
        }
        // The younger of the two tells since when they are side by side.
        let since = provision.last().map(|row| row.created);
        if let (Some(since), true) = (since, provision.len() >= LIVE_PROVISION_MAX)
            && since.plus_millis(ROTATION_MS) < now
        {
            warnings.push(warning(
                "token.two_live",
                format!("directory {name} has had two live provisioning tokens since {since}"),
                format!("rollcall token list --directory {name}      and revoke the one that is not used"),
            ));
        }
        for row in live {
            warnings.extend(self.token_warning(row, name.as_str(), now));
        }
    }

    /// The most urgent thing to say of a live token.
    fn token_warning(&self, row: &TokenRow, directory: &str, now: Timestamp) -> Option<Warning> {
        let id = row.id;
        let replace = format!(
            "rollcall token create --directory {directory} --scope {}      paste it, then: rollcall token revoke {id}",
            row.scope.name()
        );
        if let Some(expires) = row.expires
            && expires < now.plus_millis(EXPIRES_SOON_MS)
        {
            // A token made for a few days need not be announced from its first day.
            let life_ms = expires.millis().saturating_sub(row.created.millis());
            let left_ms = expires.millis().saturating_sub(now.millis());
            if left_ms < life_ms / 4 {
                let what = format!("token {id} of directory {directory} expires at {expires}");
                return Some(warning("token.expires_soon", what, replace));
            }
        }
        if row.rotate_by.is_some_and(|rotate_by| rotate_by <= now) {
            let what = format!(
                "token {id} of directory {directory} was made {} and is due for replacement",
                ago(row.created, now)
            );
            return Some(warning("token.rotate", what, replace));
        }
        let last = self.auth.last_use(row).map_or(row.created, |(at, _)| at);
        (last.plus_millis(UNUSED_MS) < now).then(|| {
            warning(
                "token.unused",
                format!(
                    "token {id} of directory {directory} was last used, if ever, {}",
                    ago(last, now)
                ),
                format!("rollcall token revoke {id}      unless somebody still needs it"),
            )
        })
    }
}

/// The parts of the store's health that are shown.
fn store_status(health: Health) -> StoreStatus {
    StoreStatus {
        writable: health.writable.is_ok(),
        reason: health.writable.err(),
        seq: health.seq,
        applied_seq: health.applied_seq,
        checkpoint_seq: health.checkpoint_seq,
        users: health.users,
        groups: health.groups,
        log_bytes: health.log_bytes,
        state_bytes: health.state_bytes,
        free_bytes: health.free_bytes,
        damaged_reads: health.damaged_reads,
        start: health.rungs.iter().map(ToString::to_string).collect(),
    }
}

/// What needs attention in the store.
fn store_warnings(health: &Health) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if let Err(reason) = &health.writable {
        warnings.push(warning(
            "store.read_only",
            format!("the store takes no writes: {reason}"),
            "mend the cause; reads go on, and writes resume by themselves or after a restart",
        ));
    } else if health.space_low {
        warnings.push(warning(
            "store.space_low",
            format!(
                "only {} bytes are free on the file system of the state directory",
                health.free_bytes
            ),
            "make room: below the hard mark writes are refused",
        ));
    }
    warnings.extend(damage_warnings(health));
    for rung in &health.rungs {
        match rung {
            // Everyday consequences of a crash or a kill.
            Rung::LeftoverRemoved { .. } | Rung::TailCut { .. } | Rung::Replayed { .. } => {}
            Rung::ReserveUsed { .. } => warnings.push(warning(
                "store.reserve_used",
                rung.to_string(),
                "make room on the file system of the state directory, then: systemctl restart rollcall",
            )),
            Rung::HistoryDamaged { .. } | Rung::HistoryGap { .. } => warnings.push(warning(
                "store.history_damaged",
                rung.to_string(),
                "rollcall audit verify      (tells what is missing), then look at the disk (dmesg, smartctl)",
            )),
            Rung::OldSegmentDamaged { .. }
            | Rung::BaseDamaged { .. }
            | Rung::SnapshotsDropped { .. }
            | Rung::Rebuilt { .. } => {
                warnings.push(warning(
                    "store.repaired",
                    rung.to_string(),
                    "look at the disk (dmesg, smartctl); nothing acknowledged was lost",
                ));
            }
        }
    }
    warnings
}

/// What needs attention in what the store holds, and in what it does about it.
fn damage_warnings(health: &Health) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if health.lost > 0 {
        warnings.push(warning(
            "store.lost",
            format!(
                "{} stored copies are damaged, and neither the base nor the commit log has them",
                health.lost
            ),
            "rollcall storage status      (names them), then restore a backup, or have them provisioned anew",
        ));
    }
    if health.damaged_reads > 0 {
        warnings.push(warning(
            "store.damaged",
            format!(
                "{} reads since the start found a damaged copy; {} copies were repaired, {} are being repaired",
                health.damaged_reads, health.repaired, health.repairing
            ),
            "rollcall storage verify      (tells whether all is well again), then look at the disk (dmesg, smartctl)",
        ));
    }
    if let Some(found) = &health.verification
        && (found.damaged > 0 || found.surplus > 0 || !found.agrees)
    {
        let what = match (found.damaged, found.surplus) {
            (0, 0) => "count or hash to disagree".to_owned(),
            (damaged, surplus) => format!("{damaged} damaged and {surplus} surplus cells"),
        };
        warnings.push(warning(
            "store.verification",
            format!("the verification of the state at {} found {what}", found.at),
            "rollcall storage verify      (tells whether all is well again), then look at the disk (dmesg, smartctl)",
        ));
    }
    for (chore, why) in &health.chores_failed {
        let fix = match chore {
            Chore::Verify => "rollcall storage verify",
            Chore::Base | Chore::Rebuild => "mend that, then: rollcall storage compact",
        };
        let what = format!("{} failed: {why}", chore.name());
        warnings.push(warning("store.chore_failed", what, fix));
    }
    warnings
}

/// A warning of these parts.
fn warning(code: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Warning {
    Warning {
        code,
        what: what.into(),
        fix: fix.into(),
    }
}
