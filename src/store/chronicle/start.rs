//! Opening history and audit at a start, and bringing them to the end of the commit log.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::ident::IdSource;
use crate::store::chronicle::Chronicle;
use crate::store::chronicle::Entries;
use crate::store::chronicle::Reader;
use crate::store::chronicle::Retention;
use crate::store::chronicle::book;
use crate::store::chronicle::book::Book;
use crate::store::chronicle::file::AUDIT;
use crate::store::chronicle::file::HISTORY;
use crate::store::chronicle::file::Place;
use crate::store::chronicle::histories;
use crate::store::chronicle::mark_of;
use crate::store::chronicle::position::Position;
use crate::store::error::OpenError;
use crate::store::health::Rung;
use crate::store::log::frame::StoreId;
use crate::store::log::read;
use crate::store::log::read::Segment;
use crate::store::memory::Memory;

/// Opens history and audit and brings them to the end of the log. `memory` is at that end.
///
/// # Errors
///
/// [`OpenError`].
pub fn open(
    dir: &Path,
    (store, segments): (StoreId, &[Segment]),
    memory: &Memory,
    retention: Retention,
    salts: Box<dyn IdSource>,
    rungs: &mut Vec<Rung>,
) -> Result<Chronicle, OpenError> {
    let (mut chronicle, damage) = Chronicle::open(dir, store, retention, salts)
        .map_err(OpenError::io("open", dir.join(HISTORY)))?;
    for (file, at, to) in damage {
        rungs.push(Rung::HistoryDamaged { file, at, to });
    }
    if chronicle.seq > memory.seq {
        return Err(OpenError::Damaged {
            file: Position::path(dir),
            offset: 0,
            what: format!(
                "the commit log ends before transaction {}, whose entries history and audit already \
                 hold",
                chronicle.seq
            ),
        });
    }
    let log_begins = segments.first().map_or(1, |first| first.first_seq);
    let after = chronicle.seq.max(log_begins.saturating_sub(1));
    if after < memory.seq {
        let failed = |error| OpenError::io("write", dir.join(HISTORY))(error);
        let mut copy = |transaction: read::Transaction| {
            let entries = Entries::of(transaction.logged);
            chronicle.append(transaction.seq, &entries).map_err(failed)
        };
        match read::replay::<OpenError>(segments, store, after, 0, &mut copy) {
            // What state and memory did not need is no reason not to start: what can be read is
            // copied, and what cannot leaves a gap.
            Err(error @ OpenError::Damaged { .. }) => {
                tracing::error!(%error, "history and audit miss what is damaged in the commit log");
                read::scan(segments, store, &mut |transaction| {
                    if transaction.seq > after {
                        copy(transaction)
                    } else {
                        Ok(())
                    }
                })?;
            }
            outcome => {
                outcome?;
            }
        }
    }
    chronicle
        .finish(memory)
        .map_err(OpenError::io("write", dir.join(HISTORY)))?;
    for (place, from, through) in &chronicle.gaps {
        rungs.push(Rung::HistoryGap {
            what: place.to_string(),
            from: *from,
            through: *through,
        });
    }
    Ok(chronicle)
}

/// A stretch of a file that cannot be read.
type Damage = (PathBuf, u64, u64);

impl Chronicle {
    /// Reads back what is there. Its `seq` is then the transaction to go on behind.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub(in crate::store::chronicle) fn open(
        dir: &Path,
        store: StoreId,
        retention: Retention,
        salts: Box<dyn IdSource>,
    ) -> io::Result<(Self, Vec<Damage>)> {
        for folder in [HISTORY, AUDIT] {
            book::make_folder(&dir.join(folder))?;
        }
        let position = Position::read(dir, store)?;
        let known = position.as_ref();
        let on_disk = histories(dir)?.into_iter().map(Place::History);
        let noted = known.iter().flat_map(|position| position.marks.keys());
        let mut places: Vec<_> = on_disk.chain(noted.copied()).collect();
        places.push(Place::Audit);
        places.sort();
        places.dedup();
        let (mut books, mut damage) = (BTreeMap::new(), Vec::new());
        let mut short = false;
        for place in places {
            let (mut book, found) = Book::open(dir, store, place, mark_of(known, place))?;
            if found.short {
                tracing::warn!("the files of {place} end before they should");
            }
            short |= found.short;
            damage.extend(found.damage);
            book.forget_let_go();
            books.insert(place, book);
        }
        let seq = known
            .filter(|_position| !short)
            .map_or(0, |position| position.seq);
        let chronicle = Self {
            dir: dir.to_owned(),
            store,
            retention,
            salts,
            books,
            seq,
            synced: seq,
            gone: Vec::new(),
            expire_at: None,
            gaps: Vec::new(),
            reader: Arc::new(Reader::new(dir, store)),
            header: Vec::new(),
        };
        Ok((chronicle, damage))
    }

    /// Ends the opening: `memory` is what the log came to.
    fn finish(&mut self, memory: &Memory) -> io::Result<()> {
        self.seq = self.seq.max(memory.seq);
        // Numbers of directories are never given twice: what belongs to none was deleted.
        for id in histories(&self.dir)? {
            if !memory.directories.contains_key(&id) {
                self.books.remove(&Place::History(id));
                fs::remove_dir_all(Place::History(id).folder(&self.dir))?;
            }
        }
        self.flush()
    }
}
