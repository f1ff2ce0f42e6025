//! A state made anew from a base, in a folder of its own. It is put to use whole or not at all;
//! the replay of the log behind it is the start's, as after any other.

use std::io;
use std::path::Path;

use crate::store::base::BaseError;
use crate::store::base::read::Base;
use crate::store::cell::Tally;
use crate::store::generation::Generation;
use crate::store::log::read::Segment;
use crate::store::meta::Meta;
use crate::store::rebuild::Target;
use crate::store::startup::Progress;
use crate::store::startup::ladder;
use crate::store::state::StateError;

/// Blocks of the base between two messages.
const PROGRESS_EVERY: usize = 256;

/// Why a state was not made from a base.
pub enum Unrestored {
    /// The base does not serve; another one may.
    Unfit(String),
    /// The machine refused.
    Machine(io::Error),
}

impl From<BaseError> for Unrestored {
    fn from(error: BaseError) -> Self {
        match error {
            BaseError::Io(error) => Self::Machine(error),
            BaseError::Damaged { .. } | BaseError::Newer(_) | BaseError::Foreign => {
                Self::Unfit(error.to_string())
            }
        }
    }
}

impl From<StateError> for Unrestored {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Io(error) if ladder::is_the_machines(&error) => Self::Machine(error),
            StateError::Io(_) | StateError::Broken(_) | StateError::Newer(_) => {
                Self::Machine(io::Error::other(error.to_string()))
            }
        }
    }
}

/// Fills a state beside that of generation `current` from `base` and puts it to use.
///
/// # Errors
///
/// [`Unrestored`]; the state in use is then as it was.
pub fn fill(
    dir: &Path,
    current: Generation,
    base: &Base,
    segments: &[Segment],
    progress: Progress<'_>,
) -> Result<Generation, Unrestored> {
    let header = base.header();
    let first = segments.first().map_or(1, |segment| segment.first_seq);
    if first > header.seq.saturating_add(1) {
        return Err(Unrestored::Unfit(format!(
            "it needs the commit log from transaction {} on",
            header.seq.saturating_add(1)
        )));
    }
    let mut meta = Meta::empty(header.store);
    // What an interrupted attempt left would be taken for part of this one.
    current.remove_others(dir).map_err(Unrestored::Machine)?;
    let mut target = Target::begin(dir, current, &meta)?;
    let mut tally = Tally::default();
    for number in 0..base.blocks() {
        if number.is_multiple_of(PROGRESS_EVERY) {
            progress(&format!("restoring block {number} of {}", base.blocks()));
        }
        for (key, mark, content) in base.block(number)? {
            tally.add(&key, mark);
            target.add(&key, mark, content)?;
        }
    }
    if tally != base.tally() {
        return Err(Unrestored::Unfit("cells are missing in it".to_owned()));
    }
    meta.seq = header.seq;
    meta.tally = tally;
    let generation = target.generation;
    drop(target.finish(&meta)?);
    generation.put_to_use(dir).map_err(Unrestored::Machine)?;
    Ok(generation)
}
