//! Reading: what everybody outside the commit thread sees. Nothing here waits for a disk write;
//! everything acknowledged is visible at once.

use std::fs::File;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::base::clock::Clock;
use crate::base::ident::DirectoryId;
use crate::base::ident::DirectoryName;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::base::ident::TokenId;
use crate::scim::schema::ResourceKind;
use crate::store::cell::Key;
use crate::store::cell::Op;
use crate::store::chronicle::Reader;
use crate::store::desk::Desk;
use crate::store::error::StoreError;
use crate::store::log::group::Logged;
use crate::store::log::group::Made;
use crate::store::memory::Memory;
use crate::store::memory::Shelf;
use crate::store::queue::Work;
use crate::store::record::Record;
use crate::store::row::DirectoryRow;
use crate::store::row::TokenRow;
use crate::store::space::Room;
use crate::store::state::State;
use crate::store::state::StateError;
use crate::store::status::Status;
use crate::store::sweep;

/// How often a read starts over because the resource changed under it.
const READS_MAX: u32 = 64;
/// Bytes a cached record takes beyond its body.
const CACHE_ENTRY_BYTES: u64 = 160;
/// Bytes of a record, to guess how many the cache will hold.
const RECORD_BYTES_GUESS: u64 = 1500;

/// Bytes of a membership as it is stored: key and mark.
const MEMBERSHIP_BYTES: u64 = 48;

/// Names a resource.
type ResourceKey = (DirectoryId, ResourceKind, ResourceId);

/// Weighs records by the memory they take.
#[derive(Clone, Debug)]
struct Weight;

impl Weighter<ResourceKey, Arc<Record>> for Weight {
    fn weight(&self, _key: &ResourceKey, record: &Arc<Record>) -> u64 {
        let body = u64::try_from(record.body.len()).unwrap_or(u64::MAX);
        body.saturating_add(CACHE_ENTRY_BYTES)
    }
}

/// What memory alone says of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cached {
    /// It does not exist.
    Absent,
    /// This is it.
    Hit(Arc<Record>),
    /// It exists, on disk.
    Cold,
}

/// What all parts of the store share.
struct Shared {
    /// The published state.
    memory: RwLock<Memory>,
    /// Whose turn it is to change the published state, or to read it for long.
    turn: Mutex<()>,
    /// Records read or written lately. Never trusted: what it gives is compared with the slot.
    cache: Cache<ResourceKey, Arc<Record>, Weight>,
    /// The state on disk: another one after it was rebuilt.
    state: RwLock<Arc<State>>,
    /// What the threads tell.
    status: Status,
    /// Where something is asked of them.
    desk: Desk,
    /// The time.
    clock: Arc<dyn Clock>,
    /// History and audit.
    chronicle: Arc<Reader>,
    /// The lock of the store's directory. Last, so that it is held until the state is closed.
    _lock: File,
}

/// The reading half of the store. Cheap to clone.
#[derive(Clone)]
pub struct View(Arc<Shared>);

impl View {
    /// The view over these parts.
    pub(in crate::store) fn new(
        memory: Memory,
        state: Arc<State>,
        cache_bytes: u64,
        clock: Arc<dyn Clock>,
        lock: File,
        chronicle: Arc<Reader>,
    ) -> Self {
        let guess = cache_bytes / RECORD_BYTES_GUESS;
        let guess = usize::try_from(guess).unwrap_or(usize::MAX).max(16);
        Self(Arc::new(Shared {
            memory: RwLock::new(memory),
            turn: Mutex::default(),
            cache: Cache::with_weighter(guess, cache_bytes, Weight),
            state: RwLock::new(state),
            status: Status::default(),
            desk: Desk::default(),
            clock,
            chronicle,
            _lock: lock,
        }))
    }

    /// The published state. A panic while it was written stops the commit thread, so what is left
    /// is at worst the beginning of one group, and reading goes on.
    pub(in crate::store) fn memory(&self) -> RwLockReadGuard<'_, Memory> {
        self.0.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn of one who changes the published state, or reads it for longer than some
    /// microseconds: taken before the state is. Whoever waits to change the state makes all wait who
    /// want to read it, so nobody may while another reads for long.
    pub(in crate::store) fn turn(&self) -> MutexGuard<'_, ()> {
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The published state, to change.
    fn memory_mut(&self) -> RwLockWriteGuard<'_, Memory> {
        self.0
            .memory
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The state on disk.
    pub(in crate::store) fn state(&self) -> Arc<State> {
        let state = self.0.state.read();
        Arc::clone(&state.unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads from another state on disk from now on.
    pub(in crate::store) fn set_state(&self, state: Arc<State>) {
        *self.0.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Where something is asked of the threads.
    pub(in crate::store) fn desk(&self) -> &Desk {
        &self.0.desk
    }

    /// Bytes of all resources and memberships as they are stored.
    pub(in crate::store) fn live_bytes(&self) -> u64 {
        let memory = self.memory();
        let directories = memory.directories.values();
        directories
            .flat_map(|found| {
                let resources =
                    ResourceKind::ALL.map(|kind| found.shelf(kind).indexes.live_bytes());
                let edges = found
                    .edges
                    .count()
                    .saturating_add(found.edges.hidden_count());
                let edges = u64::try_from(edges).unwrap_or(u64::MAX);
                [edges.saturating_mul(MEMBERSHIP_BYTES)]
                    .into_iter()
                    .chain(resources)
            })
            .sum()
    }

    /// What the threads tell.
    pub(in crate::store) fn status(&self) -> &Status {
        &self.0.status
    }

    /// History and audit.
    pub(in crate::store) fn chronicle(&self) -> &Reader {
        &self.0.chronicle
    }

    /// The time.
    pub(in crate::store) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// Publishes a group of transactions that begins with number `first`, all at once.
    pub(in crate::store) fn publish(&self, first: u64, group: &[Logged]) -> Vec<Work> {
        let _turn = self.turn();
        let ready: Vec<_> = {
            let memory = self.memory();
            group.iter().map(|logged| memory.ready(logged)).collect()
        };
        let mut memory = self.memory_mut();
        let group = (first..).zip(group.iter().zip(ready));
        group
            .map(|(seq, (logged, ready))| Work::new(seq, memory.apply_ready(seq, logged, ready)))
            .collect()
    }

    /// Puts what a group wrote into the cache, and takes out what it deleted.
    pub(in crate::store) fn warm(&self, group: &[Logged]) {
        for change in group.iter().flat_map(|logged| &logged.changes) {
            match change {
                Made::PutResource {
                    directory,
                    kind,
                    id,
                    ..
                } => {
                    if let Cached::Hit(record) = self.resource_cached(*directory, *kind, *id) {
                        self.0.cache.insert((*directory, *kind, *id), record);
                    }
                }
                Made::DeleteResource {
                    directory,
                    kind,
                    id,
                    ..
                } => {
                    self.0.cache.remove(&(*directory, *kind, *id));
                }
                Made::Members { .. }
                | Made::Forget { .. }
                | Made::PutToken(_)
                | Made::PutDirectory(_)
                | Made::DeleteDirectory(_)
                | Made::PutSetting { .. } => {}
            }
        }
    }

    /// Forgets that these changes wait for the state on disk.
    pub(in crate::store) fn settle(&self, ops: &[Op]) {
        let _turn = self.turn();
        self.memory_mut().settle(ops.iter());
    }

    /// Calls `read` with the resources of one kind in a directory, when the directory exists.
    pub(in crate::store) fn shelf<T>(
        &self,
        directory: DirectoryId,
        kind: ResourceKind,
        read: impl FnOnce(&Shelf) -> T,
    ) -> Option<T> {
        let memory = self.memory();
        let directory = memory.directories.get(&directory)?;
        Some(read(directory.shelf(kind)))
    }

    /// What memory alone says of a resource, with what the state on disk must hold when it is cold.
    fn look(&self, key: ResourceKey) -> (Cached, Option<(Revision, u32)>) {
        self.look_in(&self.memory(), key)
    }

    /// As [`View::look`], in memory that is held already.
    pub(in crate::store) fn look_in(
        &self,
        memory: &Memory,
        key: ResourceKey,
    ) -> (Cached, Option<(Revision, u32)>) {
        let (directory, kind, id) = key;
        let known = memory.directories.get(&directory).and_then(|found| {
            let shelf = found.shelf(kind);
            let slot = shelf.indexes.get(id)?;
            let pending = shelf.pending.get(&id).map(|pending| &pending.record);
            Some(((slot.revision, slot.mark.crc), pending.cloned()))
        });
        match known {
            None => (Cached::Absent, None),
            Some((expected, Some(record))) => (Cached::Hit(record), Some(expected)),
            Some((expected, None)) => {
                let cached = self.0.cache.get(&key);
                let fits = cached.filter(|record| (record.revision, record.crc) == expected);
                (fits.map_or(Cached::Cold, Cached::Hit), Some(expected))
            }
        }
    }

    /// A resource, from memory only: never blocks on a disk.
    pub fn resource_cached(
        &self,
        directory: DirectoryId,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Cached {
        self.look((directory, kind, id)).0
    }

    /// A resource. May read the disk; what comes from there must have the revision and the
    /// checksum that memory knows.
    ///
    /// # Errors
    ///
    /// [`StoreError`], about this resource only.
    pub fn resource(
        &self,
        directory: DirectoryId,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        self.read((directory, kind, id), true)
    }

    /// As [`View::resource`]; whether what was read from the disk is kept in memory.
    pub(in crate::store) fn read(
        &self,
        key: ResourceKey,
        keep: bool,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let (directory, kind, id) = key;
        let mut unfit = None;
        for _read in 0..READS_MAX {
            let expected = match self.look(key) {
                (Cached::Absent, _) => return Ok(None),
                (Cached::Hit(record), _) => return Ok(Some(record)),
                (Cached::Cold, expected) => expected,
            };
            // The same slot three times, and no fitting copy behind it: nobody changed it meanwhile,
            // and no other state took the place of the one that was read first.
            if unfit == Some((expected, 2)) {
                break;
            }
            match self.read_cold(key) {
                Ok(Some(record)) if Some((record.revision, record.crc)) == expected => {
                    if keep {
                        self.0.cache.insert(key, Arc::clone(&record));
                    }
                    return Ok(Some(record));
                }
                Err(StateError::Io(error)) => {
                    let why = error.to_string();
                    return Err(StoreError::Unreadable { id, why });
                }
                Ok(_) | Err(StateError::Broken(_) | StateError::Newer(_)) => {
                    let again = unfit.is_some_and(|(before, _times)| before == expected);
                    unfit = Some((expected, if again { 2 } else { 1 }));
                }
            }
        }
        self.0.status.damaged_reads.count();
        let key = Key::Resource(directory, kind, id);
        if let Some(mark) = sweep::expected(&self.memory(), &key) {
            self.0.desk.want(key, mark);
        }
        tracing::error!(resource.id = %id, "the stored copy of {id} is lost or damaged");
        Err(StoreError::Damaged(id))
    }

    /// A resource as the state on disk has it.
    fn read_cold(&self, key: ResourceKey) -> Result<Option<Arc<Record>>, StateError> {
        let (directory, kind, id) = key;
        let found = self.state().get(&Key::Resource(directory, kind, id))?;
        Ok(found.and_then(|(mark, content)| {
            let record = Record::decode(&content, mark.crc).ok()?;
            Some(Arc::new(record))
        }))
    }

    /// All directories, by name.
    pub fn directories(&self) -> Vec<Arc<DirectoryRow>> {
        let memory = self.memory();
        let rows = memory.directories.values();
        let mut rows: Vec<_> = rows.map(|found| Arc::clone(&found.held.row)).collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows
    }

    /// The directory of that name.
    pub fn directory(&self, name: &DirectoryName) -> Option<Arc<DirectoryRow>> {
        let memory = self.memory();
        let id = memory.names.get(name)?;
        Some(Arc::clone(&memory.directories.get(id)?.held.row))
    }

    /// The directory of that number.
    pub fn directory_by_id(&self, id: DirectoryId) -> Option<Arc<DirectoryRow>> {
        let memory = self.memory();
        Some(Arc::clone(&memory.directories.get(&id)?.held.row))
    }

    /// The number of a directory's last history entry; 0 when it has none.
    #[cfg(test)]
    pub fn history_last(&self, id: DirectoryId) -> u64 {
        let memory = self.memory();
        memory
            .directories
            .get(&id)
            .map_or(0, |found| found.history.0)
    }

    /// A token.
    pub fn token(&self, id: TokenId) -> Option<Arc<TokenRow>> {
        let memory = self.memory();
        Some(Arc::clone(&memory.tokens.get(&id)?.row))
    }

    /// The tokens of a directory, oldest first.
    pub fn tokens(&self, directory: DirectoryId) -> Vec<Arc<TokenRow>> {
        self.tokens_of(Some(directory))
    }

    /// The appliance's own tokens, oldest first.
    #[cfg(test)]
    pub fn appliance_tokens(&self) -> Vec<Arc<TokenRow>> {
        self.tokens_of(None)
    }

    /// The tokens of a directory or of the appliance, oldest first.
    fn tokens_of(&self, directory: Option<DirectoryId>) -> Vec<Arc<TokenRow>> {
        let memory = self.memory();
        let rows = memory.tokens.values().map(|held| &held.row);
        let rows = rows.filter(|row| row.directory == directory);
        let mut rows: Vec<_> = rows.map(Arc::clone).collect();
        rows.sort_by_key(|row| (row.created, row.id));
        rows
    }

    /// A setting.
    pub fn setting(&self, name: &str) -> Option<Arc<[u8]>> {
        let memory = self.memory();
        Some(Arc::clone(&memory.settings.get(name)?.row))
    }

    /// Why no writes are taken, when none are.
    pub(in crate::store) fn refusal(&self) -> Option<String> {
        if let Some(failure) = self.0.status.failure() {
            return Some(failure.reason);
        }
        if self.0.status.log_stalled_since().is_some() {
            return Some("the disk under the commit log does not answer".to_owned());
        }
        (self.0.status.room() == Room::Full).then(|| {
            "the disk is nearly full; writes resume by themselves once there is room".to_owned()
        })
    }
}
