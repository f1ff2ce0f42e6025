//! Whether everything stored is as it should be: the state against memory, then every resource
//! against its schema, the indexes, the rules of uniqueness and what it refers to. In slices with
//! rests between them, so that serving goes on.

use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;

use crate::admin::Admin;
use crate::admin::AdminError;
use crate::admin::Problem;
use crate::admin::audit;
use crate::admin::storage::LOST_MAX;
use crate::admin::storage::REPAIR_PATIENCE;
use crate::audit::entry::AuditDraft;
use crate::base::actor::Actor;
use crate::base::ident::ResourceId;
use crate::directory::Directory;
use crate::directory::verify::Fault;
use crate::scim::schema::ResourceKind;
use crate::store::change::Change;
use crate::store::change::Index;
use crate::store::change::Transaction;
use crate::store::desk::Chore;
use crate::store::error::CommitError;
use crate::store::error::Reject;

/// Resources looked at between two rests.
const SLICE: usize = 128;
/// Longest rest. It rests as long as it worked.
const REST_MAX: Duration = Duration::from_millis(100);
/// Findings that are told; what is beyond is counted.
const FINDINGS_MAX: usize = 1000;
/// The same for notes.
const NOTES_MAX: usize = 100;
/// How often the state is compared until it is sound.
const PASSES_MAX: usize = 3;
/// How often a resource is mended that somebody changes meanwhile.
const MENDS_MAX: usize = 8;

/// What a verification came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct StorageVerification {
    /// Whether nothing is wrong; after repairs, whether nothing is wrong any more.
    pub sound: bool,
    /// Whether what can be mended was mended.
    pub repair: bool,
    /// Cells of the state that were compared with memory.
    pub cells: u64,
    /// Users that were looked at.
    pub users: u64,
    /// Groups that were looked at.
    pub groups: u64,
    /// How many things are or were wrong.
    pub found: u64,
    /// How many of them are put right.
    pub repaired: u64,
    /// How many of the others `--repair` puts right.
    pub repairable: u64,
    /// The first thousand of them.
    pub findings: Vec<Finding>,
    /// How many references lead nowhere. Not wrong: what they name may come later.
    pub noted: u64,
    /// The first hundred of them.
    pub notes: Vec<Finding>,
}

/// Something that is or was wrong.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What kind, stable, for programs.
    pub code: &'static str,
    /// The directory's name; `None` when it is about the state.
    pub directory: Option<String>,
    /// `User`, `Group`
    pub kind: Option<&'static str>,
    /// The resource's id.
    pub id: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What puts it right.
    pub fix: String,
    /// Whether `--repair` puts it right.
    pub repairable: bool,
    /// Whether it is put right.
    pub repaired: bool,
}

impl StorageVerification {
    /// Adds a finding.
    fn add(&mut self, finding: Finding) {
        self.found = self.found.saturating_add(1);
        let count = u64::from(finding.repaired);
        self.repaired = self.repaired.saturating_add(count);
        let count = u64::from(finding.repairable && !finding.repaired);
        self.repairable = self.repairable.saturating_add(count);
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    /// Adds a note.
    fn note(&mut self, note: Finding) {
        self.noted = self.noted.saturating_add(1);
        if self.notes.len() < NOTES_MAX {
            self.notes.push(note);
        }
    }
}

/// A resource whose keys are to be mended.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// Its directory.
    directory: &'a Directory,
    /// Its kind.
    kind: ResourceKind,
    /// Its id.
    id: ResourceId,
}

impl Place<'_> {
    /// A finding about it.
    fn finding(self, code: &'static str, what: String, fix: &str) -> Finding {
        Finding {
            code,
            directory: Some(self.directory.row().name.to_string()),
            kind: Some(self.kind.name()),
            id: Some(self.id.to_string()),
            what,
            fix: fix.to_owned(),
            repairable: false,
            repaired: false,
        }
    }
}

impl Admin {
    /// Verifies everything stored; with `repair`, mends what can be mended. What the state has
    /// lost or damaged the store repairs in any case.
    ///
    /// # Errors
    ///
    /// `Conflict` while another one runs, `Unavailable` when it could not be ended.
    pub fn storage_verify(
        &self,
        repair: bool,
        actor: &Actor,
    ) -> Result<StorageVerification, AdminError> {
        let _alone = self.pass_alone()?;
        let mut report = StorageVerification {
            repair,
            ..StorageVerification::default()
        };
        self.verify_state(&mut report)?;
        for row in self.store.directories() {
            let directory = self.directories.open(row);
            for kind in ResourceKind::ALL {
                self.verify_resources(&directory, kind, repair.then_some(actor), &mut report)?;
            }
            if !directory.memberships_are_balanced() {
                report.add(Finding {
                    code: "index.memberships",
                    directory: Some(directory.row().name.to_string()),
                    kind: None,
                    id: None,
                    what: "there are memberships that are known at one end only".to_owned(),
                    fix: "systemctl restart rollcall      (makes all lists anew)".to_owned(),
                    repairable: false,
                    repaired: false,
                });
            }
        }
        let left = report.found.saturating_sub(report.repaired);
        report.sound = left == 0 && (repair || report.found == 0);
        Ok(report)
    }

    /// Compares the state with memory until nothing is wrong that the store can put right.
    fn verify_state(&self, report: &mut StorageVerification) -> Result<(), AdminError> {
        let (mut damaged, mut surplus, mut agrees) = (0_u64, 0_u64, false);
        let lost_before = self.lost();
        for _pass in 0..PASSES_MAX {
            let lost = self.lost();
            let Some(found) = self.chore(Chore::Verify)?.verification else {
                break;
            };
            report.cells = found.cells;
            agrees = found.agrees;
            // What was lost before is found again each time.
            damaged = damaged.saturating_add(found.damaged.saturating_sub(lost));
            surplus = surplus.saturating_add(found.surplus);
            let settled = self.store.wait_for_repairs(REPAIR_PATIENCE);
            let sound = found.agrees && found.surplus == 0 && found.damaged <= self.lost();
            if sound || !settled {
                break;
            }
        }
        let finding = |code, what, fix: &str, repaired| Finding {
            code,
            directory: None,
            kind: None,
            id: None,
            what,
            fix: fix.to_owned(),
            repairable: false,
            repaired,
        };
        let mut names = self.store.lost();
        let lost = u64::try_from(names.len()).unwrap_or(u64::MAX);
        let back = damaged.saturating_sub(lost.saturating_sub(lost_before));
        if back > 0 {
            let what = format!("{back} stored copies in the state were lost or damaged");
            let fix = "the store takes them out of the base and the commit log by itself";
            let done = self.store.health().repairing == 0;
            report.add(finding("state.damaged", what, fix, done));
        }
        if surplus > 0 {
            let what = format!("the state held {surplus} cells that nobody put there");
            let fix = "the store removes them by itself";
            report.add(finding("state.surplus", what, fix, true));
        }
        if !agrees {
            let what = "count or hash of the state's cells is not what it should be".to_owned();
            let fix =
                "systemctl restart rollcall      (compares every record), then look at the disk";
            report.add(finding("state.disagrees", what, fix, false));
        }
        if let Some(what) = self.store.check_base() {
            let fix = "the store writes another one by itself";
            let done = self.chore(Chore::Base).is_ok();
            report.add(finding("base.damaged", what, fix, done));
        }
        names.truncate(LOST_MAX);
        for name in names {
            let what = format!("{name} is lost: neither the base nor the commit log has it");
            let fix = "restore a backup, or have it provisioned anew";
            report.add(finding("state.lost", what, fix, false));
        }
        Ok(())
    }

    /// How many stored copies are damaged and nowhere else.
    fn lost(&self) -> u64 {
        u64::try_from(self.store.lost().len()).unwrap_or(u64::MAX)
    }

    /// Looks at all resources of a kind, and mends keys for `mender`.
    fn verify_resources(
        &self,
        directory: &Directory,
        kind: ResourceKind,
        mender: Option<&Actor>,
        report: &mut StorageVerification,
    ) -> Result<(), AdminError> {
        let mut after = None;
        loop {
            if self.store.is_hurried() {
                return Err(AdminError::Unavailable(Problem::new(
                    "the verification was given up",
                    "rollcall is stopping",
                    "run the command again once it is back",
                )));
            }
            let began = Instant::now();
            let ids = directory.ids_after(kind, after, SLICE);
            let Some(last) = ids.last().copied() else {
                return Ok(());
            };
            after = Some(last);
            let mut wrong = Vec::new();
            for id in ids {
                let place = Place {
                    directory,
                    kind,
                    id,
                };
                wrong.extend(self.verify_resource(place, report));
            }
            let outcomes = match mender {
                Some(actor) => self.mend_keys(&wrong, actor),
                None => Vec::new(),
            };
            let outcomes = outcomes
                .into_iter()
                .map(Some)
                .chain(std::iter::repeat(None));
            for ((_place, mut finding), outcome) in wrong.into_iter().zip(outcomes) {
                match outcome {
                    Some(Ok(())) => finding.repaired = true,
                    Some(Err(why)) => {
                        finding.repairable = false;
                        finding.what = format!("{}; mending it failed: {why}", finding.what);
                    }
                    None => {}
                }
                report.add(finding);
            }
            thread::park_timeout(began.elapsed().min(REST_MAX));
        }
    }

    /// Looks at a resource. Returns it when its keys are wrong, with the finding that says so.
    fn verify_resource<'a>(
        &self,
        place: Place<'a>,
        report: &mut StorageVerification,
    ) -> Option<(Place<'a>, Finding)> {
        let examined = place.directory.examine(place.kind, place.id)?;
        let count = match place.kind {
            ResourceKind::User => &mut report.users,
            ResourceKind::Group => &mut report.groups,
        };
        *count = count.saturating_add(1);
        let mut wrong = None;
        for fault in examined.faults {
            let is_of_keys = matches!(fault, Fault::WrongKeys { .. });
            let finding = finding(place, fault);
            if is_of_keys {
                wrong = Some((place, finding));
            } else {
                report.add(finding);
            }
        }
        for dangling in examined.dangling {
            let what = format!("{} is {:?}", dangling.attribute, dangling.value);
            let fix =
                "nothing, when it is provisioned later; else let the source send another value";
            report.note(place.finding("reference.dangling", what, fix));
        }
        wrong
    }

    /// Stores resources again, with the keys that they should be found by.
    fn mend_keys(&self, wrong: &[(Place<'_>, Finding)], actor: &Actor) -> Vec<Result<(), String>> {
        let mut transaction = Transaction::default();
        for (place, finding) in wrong {
            // Who cannot be read is told below.
            if let Ok(Some(change)) = place.directory.with_right_keys(place.kind, place.id) {
                transaction.changes.push(change);
                transaction.audit.push(repaired(*place, finding, actor));
            }
        }
        let together = transaction.changes.len();
        if together == wrong.len() && together > 0 && self.store.commit(transaction).is_ok() {
            return vec![Ok(()); together];
        }
        let each = wrong.iter();
        each.map(|(place, finding)| self.mend(*place, finding, actor))
            .collect()
    }

    /// Stores a resource again, with the keys that it should be found by.
    fn mend(&self, place: Place<'_>, finding: &Finding, actor: &Actor) -> Result<(), String> {
        for _mend in 0..MENDS_MAX {
            let change: Option<Change> = place
                .directory
                .with_right_keys(place.kind, place.id)
                .map_err(|error| error.to_string())?;
            let Some(change) = change else {
                return Ok(());
            };
            match self.commit(change, repaired(place, finding, actor)) {
                Ok(_committed) => return Ok(()),
                // Somebody was faster.
                Err(CommitError::Rejected(Reject::Changed { .. } | Reject::Missing)) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Err("somebody else changes it all the time".to_owned())
    }
}

/// The audit entry for a resource that is stored again.
fn repaired(place: Place<'_>, finding: &Finding, actor: &Actor) -> AuditDraft {
    let name = &place.directory.row().name;
    let target = format!("{} {} of directory {name}", place.kind.name(), place.id);
    audit(
        actor,
        "storage.repair",
        target,
        &json!({"what": finding.what}),
    )
}

/// What is to be said of a fault.
fn finding(place: Place<'_>, fault: Fault) -> Finding {
    match fault {
        Fault::Unreadable(why) => place.finding(
            "record.unreadable",
            format!("its record cannot be read: {why}"),
            "look at the disk (dmesg, smartctl), then verify again",
        ),
        Fault::NotAResource => place.finding(
            "record.foreign",
            "what is stored is not a resource".to_owned(),
            "restore a backup, or delete it and have it provisioned anew",
        ),
        Fault::OtherId => place.finding(
            "record.other_id",
            "what is stored names another id".to_owned(),
            "restore a backup, or delete it and have it provisioned anew",
        ),
        Fault::Misfit(why) => place.finding(
            "schema.misfit",
            format!("it does not fit its schema: {why}"),
            "let the source send it as a whole (PUT), or delete it",
        ),
        Fault::WrongKeys { missing, surplus } => {
            let part = |what: &str, indexes: &[Index]| {
                let names: Vec<_> = indexes.iter().map(|index| index.attribute()).collect();
                (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
            };
            let parts = [
                part("not found by its", &missing),
                part("found by what is not its", &surplus),
            ];
            let parts: Vec<_> = parts.into_iter().flatten().collect();
            let what = format!("the indexes do not fit its record: {}", parts.join("; "));
            let fix = "storage verify --repair stores it again, with the right keys";
            Finding {
                repairable: true,
                ..place.finding("index.keys", what, fix)
            }
        }
        Fault::Lopsided { group, member } => place.finding(
            "index.membership",
            format!("the membership of {member} in group {group} is known at one end only"),
            "systemctl restart rollcall      (makes all lists anew)",
        ),
        Fault::Unlisted => place.finding(
            "index.unlisted",
            "a list of the indexes does not lead to it".to_owned(),
            "systemctl restart rollcall      (makes all lists anew)",
        ),
        Fault::Shared { index, with } => {
            let with: Vec<_> = with.iter().map(ToString::to_string).collect();
            let what = format!(
                "its {} is also that of {}",
                index.attribute(),
                with.join(", ")
            );
            let fix = "rename or delete all but one of them, at the source or with a client";
            place.finding("unique.shared", what, fix)
        }
    }
}
