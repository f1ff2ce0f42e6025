//! Queries: filter and index paging (RFC 7644 §3.4.2).
//!
//! A list fixes its ids first and then reads each: what was deleted meanwhile, or no longer
//! matches, is left out. Order is that of creation, so that pages stay put while others write.

use crate::base::ident::ResourceId;
use crate::directory::Directory;
use crate::directory::Stored;
use crate::directory::error::DirectoryError;
use crate::directory::plan::Plan;
use crate::directory::plan::Source;
use crate::directory::read::FromMemory;
use crate::scim::filter::Filter;
use crate::scim::resource::answer;
use crate::scim::resource::answer::Meta;
use crate::scim::schema::ResourceKind;

/// How many resources a scan reads before it lets others run.
const SCAN_STEP: usize = 256;

/// More resources than this under one key are looked at on the blocking pool, each against the filter.
const SHARED_KEY: usize = 64;

/// A part of a query's result.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// How many matches to pass over.
    pub offset: usize,
    /// How many resources to return at most.
    pub count: usize,
}

/// What a query found.
#[derive(Debug)]
pub struct Found {
    /// How many resources match, on this page or not.
    pub total: usize,
    /// The resources of the page.
    pub resources: Vec<Stored>,
}

/// A query whose filter has been planned.
#[derive(Debug)]
pub struct Search {
    /// What is searched for.
    kind: ResourceKind,
    /// The condition, if any, and how it is answered.
    filter: Option<(Filter, Plan)>,
    /// The Tenant URL: filters see resources as they are answered, `meta.location` included.
    base: String,
}

impl Search {
    /// A search for resources of `kind` that match `filter`, below the Tenant URL `base`.
    pub fn new(kind: ResourceKind, filter: Option<Filter>, base: String) -> Self {
        let filter = filter.map(|filter| {
            let plan = Plan::of(&filter);
            (filter, plan)
        });
        Self { kind, filter, base }
    }

    /// Whether every resource has to be looked at: such searches are limited in number.
    pub fn is_scan(&self) -> bool {
        matches!(
            &self.filter,
            Some((
                _,
                Plan {
                    source: Source::Scan,
                    ..
                }
            ))
        )
    }
}

impl Directory {
    /// Runs `search` if memory alone can answer it. Never blocks, never scans.
    pub fn search_in_memory(&self, search: &Search, page: Page) -> FromMemory<Found> {
        let ids = self.under_key(search);
        // So many resources under one key take a while.
        if search.is_scan() || ids.len() > SHARED_KEY {
            return FromMemory::AskDisk;
        }
        let read = |id| match self.read_from_memory(search.kind, id) {
            FromMemory::Known(stored) => Ok(stored),
            FromMemory::AskDisk => Err(()),
        };
        self.run(search, ids, page, &read)
            .map_or(FromMemory::AskDisk, FromMemory::Known)
    }

    /// The resources under the key that the plan looks up; none when it looks up no key.
    fn under_key(&self, search: &Search) -> Vec<ResourceId> {
        match search.filter.as_ref().map(|(_, plan)| &plan.source) {
            Some(Source::Key(index, key)) => {
                self.store.lookup(self.row.id, search.kind, *index, key)
            }
            Some(Source::Id(_) | Source::Scan) | None => Vec::new(),
        }
    }

    /// Runs `search`, reading from disk where need be.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Store`] when a record cannot be read.
    pub fn search(&self, search: &Search, page: Page) -> Result<Found, DirectoryError> {
        let ids = self.under_key(search);
        self.run(search, ids, page, &|id| self.read(search.kind, id))
    }

    /// Runs `search` over `read`; `under_key` is what [`Directory::under_key`] found.
    fn run<E>(
        &self,
        search: &Search,
        under_key: Vec<ResourceId>,
        page: Page,
        read: &dyn Fn(ResourceId) -> Result<Option<Stored>, E>,
    ) -> Result<Found, E> {
        let Some((filter, plan)) = &search.filter else {
            let (total, ids) = self
                .store
                .page(self.row.id, search.kind, page.offset, page.count);
            let mut resources = Vec::with_capacity(ids.len());
            for id in ids {
                resources.extend(read(id)?);
            }
            return Ok(Found { total, resources });
        };
        let mut matches = Matches {
            search,
            page,
            total: 0,
            resources: Vec::new(),
        };
        match &plan.source {
            Source::Id(text) => {
                if let Some(stored) = ResourceId::parse(text).map(read).transpose()?.flatten() {
                    matches.offer(stored, (!plan.exact).then_some(filter));
                }
            }
            Source::Key(..) => {
                // Asking the index again costs what it holds under the key, each time: under a key of
                // many resources, such as a manager, the filter is cheaper.
                let exact = plan.exact && under_key.len() <= SHARED_KEY;
                for id in under_key {
                    let Some(stored) = read(id)? else { continue };
                    // Between look-up and read the key may have moved to another resource.
                    if exact && !self.under_key(search).contains(&id) {
                        continue;
                    }
                    matches.offer(stored, (!exact).then_some(filter));
                }
            }
            Source::Scan => {
                let (_, ids) = self.store.page(self.row.id, search.kind, 0, usize::MAX);
                for (number, id) in ids.into_iter().enumerate() {
                    if let Some(stored) = read(id)? {
                        matches.offer(stored, Some(filter));
                    }
                    if number % SCAN_STEP == 0 {
                        // Other requests come first on a machine with few cores.
                        std::thread::yield_now();
                    }
                }
            }
        }
        Ok(Found {
            total: matches.total,
            resources: matches.resources,
        })
    }
}

/// Matches as they are found: all are counted, those of the page are kept.
struct Matches<'a> {
    /// What is searched for.
    search: &'a Search,
    /// The page asked for.
    page: Page,
    /// Matches so far.
    total: usize,
    /// Those on the page.
    resources: Vec<Stored>,
}

impl Matches<'_> {
    /// Counts `stored` if it satisfies `filter`; `None` means that it is known to.
    fn offer(&mut self, stored: Stored, filter: Option<&Filter>) {
        if let Some(filter) = filter {
            let Search { kind, base, .. } = self.search;
            let location = answer::location(base, *kind, stored.id);
            let meta = Meta {
                created: stored.created,
                modified: stored.modified,
                revision: stored.revision,
                location: &location,
            };
            let tree = answer::full_tree(*kind, stored.body(), &meta);
            if !tree.is_some_and(|tree| filter.matches(&tree)) {
                return;
            }
        }
        self.total = self.total.saturating_add(1);
        if self.total > self.page.offset && self.resources.len() < self.page.count {
            self.resources.push(stored);
        }
    }
}
