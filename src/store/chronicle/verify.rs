//! Proving that history and audit are what was written: every frame of every file, the chain over
//! them, and what the store knows of their beginning and end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;

use crate::audit::chain::Break;
use crate::audit::chain::Chain;
use crate::audit::chain::payload_hash;
use crate::store::chronicle::file;
use crate::store::chronicle::file::Content;
use crate::store::chronicle::file::FRAMES_AT;
use crate::store::chronicle::file::HEADER_BYTES;
use crate::store::chronicle::file::Header;
use crate::store::chronicle::file::Place;
use crate::store::chronicle::mark_of;
use crate::store::chronicle::position::Mark;
use crate::store::chronicle::position::Position;
use crate::store::chronicle::read::Part;
use crate::store::chronicle::read::Reader;
use crate::store::chronicle::scan::Scan;
use crate::store::chronicle::scan::Step;

/// Problems that are told one by one; of more, only how many there are.
const PROBLEMS_MAX: usize = 1000;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The entry, when one can be named.
    pub entry: Option<u64>,
    /// What is wrong.
    pub what: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Report {
    /// Files that were read.
    pub files: u64,
    /// Entries that were read.
    pub entries: u64,
    /// Entries among them whose payload was erased.
    pub erased: u64,
    /// The last entry.
    pub last: u64,
    /// How many problems there are.
    pub problems_found: u64,
    /// The first thousand of them.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Notes a problem.
    fn problem(&mut self, file: &Path, entry: Option<u64>, what: impl Into<String>) {
        self.problems_found = self.problems_found.saturating_add(1);
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem {
                file: file.to_owned(),
                entry,
                what: what.into(),
            });
        }
    }
}

impl Reader {
    /// Verifies a series whose last entry is number `last`.
    ///
    /// # Errors
    ///
    /// What the machine says. Whatever is wrong with the files is in the report.
    pub(in crate::store) fn verify(&self, place: Place, last: u64) -> io::Result<Report> {
        let parts = self.parts(place)?;
        // After the list of files: what its retention lets go meanwhile is noted as gone.
        let position = Position::read(self.dir(), self.store())?;
        let mut verify = Verify {
            reader: self,
            place,
            mark: mark_of(position.as_ref(), place).copied(),
            chain: None,
            report: Report::default(),
        };
        for part in &parts {
            verify.part(part)?;
        }
        let mut report = verify.report;
        let kept_from = verify.mark.map_or(1, |mark| mark.kept_from);
        let before = kept_from.saturating_sub(1);
        report.last = verify.chain.map_or(before, |chain| chain.last());
        if report.last < last {
            let file = parts.last().map(|part| part.path.clone());
            let file = file.unwrap_or_else(|| place.folder(self.dir()));
            let from = report.last.saturating_add(1);
            let missing = Break::Missing {
                from,
                through: last,
            };
            report.problem(&file, Some(from), format!("{missing} at the end"));
        }
        Ok(report)
    }
}

/// A verification under way.
struct Verify<'a> {
    /// What reads.
    reader: &'a Reader,
    /// The series.
    place: Place,
    /// What was noted of it when it was synced.
    mark: Option<Mark>,
    /// The chain so far.
    chain: Option<Chain>,
    /// What was found so far.
    report: Report,
}

impl Verify<'_> {
    /// Verifies one file.
    fn part(&mut self, part: &Part) -> io::Result<()> {
        let file = match File::open(&part.path) {
            Ok(file) => file,
            // Its retention ended meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        self.report.files = self.report.files.saturating_add(1);
        let Some(mut chain) = self.enter(part, &file)? else {
            return Ok(());
        };
        let end = part.end.min(file.metadata()?.len());
        let mut scan = Scan::new(&file, self.reader.store(), FRAMES_AT, end);
        while let Some(step) = scan.step()? {
            match step {
                Step::Frame { at } => self.frame(part, &mut chain, at, scan.body()),
                Step::Damage { at, to } => {
                    let entry = chain.last().checked_add(1);
                    let what = format!("bytes {at} to {to} are damaged");
                    self.report.problem(&part.path, entry, what);
                    chain.lose();
                }
            }
        }
        self.chain = Some(chain);
        Ok(())
    }

    /// Verifies a file's header. Returns the chain to go on with, unless the file is not to be read.
    fn enter(&mut self, part: &Part, file: &File) -> io::Result<Option<Chain>> {
        let mut head = vec![0; HEADER_BYTES];
        let header = match file.read_exact_at(&mut head, 0) {
            Ok(()) => Header::decode(&head).ok(),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        let path = &part.path;
        let begins_behind = part.first.saturating_sub(1);
        let Some(header) = header else {
            self.report
                .problem(path, None, "the header of the file is damaged");
            let mut chain = self
                .chain
                .unwrap_or_else(|| Chain::behind(begins_behind, [0; 32]));
            chain.lose();
            return Ok(Some(chain));
        };
        if header.store != self.reader.store() || header.place != self.place {
            let what = "the file belongs to another store, or to another folder of this one";
            self.report.problem(path, None, what);
            return Ok(None);
        }
        if header.first != part.first {
            let what = format!(
                "the file begins with entry {}, not as its name says",
                header.first
            );
            self.report.problem(path, None, what);
            return Ok(None);
        }
        let chain = Chain::behind(begins_behind, header.before);
        let before = match self.chain {
            Some(before) => before.last(),
            None => self.mark.map_or(begins_behind, |mark| {
                mark.kept_from.min(part.first).saturating_sub(1)
            }),
        };
        let expected = before.saturating_add(1);
        if part.first > expected {
            let missing = Break::Missing {
                from: expected,
                through: begins_behind,
            };
            self.report
                .problem(path, Some(expected), missing.to_string());
        } else if part.first < expected {
            let what = format!("the file before it goes on to entry {before}");
            self.report.problem(path, Some(part.first), what);
        } else if let Some(hash) = self.chain.and_then(|chain| chain.hash())
            && hash != header.before
        {
            let what = "the file does not go on where the one before it ends";
            self.report.problem(path, Some(part.first), what);
        }
        Ok(Some(chain))
    }

    /// Verifies a sound frame.
    fn frame(&mut self, part: &Part, chain: &mut Chain, at: u64, body: &[u8]) {
        let read = file::content(body);
        let read = read.and_then(|(hash, content)| Ok((hash, content, content.numbers()?)));
        let Ok((hash, content, (from, through))) = read else {
            let what = format!("the frame at byte {at} holds nothing known");
            self.report.problem(&part.path, None, what);
            chain.lose();
            return;
        };
        let followed = match content {
            Content::Entry {
                header,
                salt,
                payload,
            } => {
                self.report.entries = self.report.entries.saturating_add(1);
                chain.entry(from, header, &payload_hash(&salt, payload), hash)
            }
            Content::Erased { header, payload } => {
                self.report.entries = self.report.entries.saturating_add(1);
                self.report.erased = self.report.erased.saturating_add(1);
                chain.entry(from, header, &payload, hash)
            }
            Content::Gap { .. } => {
                let what = format!(
                    "entries {from} to {through} were never written: the commit log did not reach \
                     back to them"
                );
                self.report.problem(&part.path, Some(from), what);
                chain.gap(from, through, hash)
            }
        };
        if let Err(found) = followed {
            self.report
                .problem(&part.path, Some(from), found.to_string());
        }
        let noted = self.mark.filter(|mark| mark.last == through);
        if noted.is_some_and(|mark| mark.hash != hash) {
            let what = "it was another entry when the files were synced";
            self.report.problem(&part.path, Some(from), what);
        }
    }
}
