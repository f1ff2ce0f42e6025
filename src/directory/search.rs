//! Queries: filter and index paging (RFC 7644 §3.4.2).
//!
//! A list fixes its ids first and then reads each: what was deleted meanwhile, or no longer
//! matches, is left out. Order is that of creation, so that pages stay put while others write.

use serde_json::Map;
use serde_json::Value;

use crate::base::ident::ResourceId;
use crate::directory::Directory;
use crate::directory::Stored;
use crate::directory::error::DirectoryError;
use crate::directory::members::group_of;
use crate::directory::members::member_of;
use crate::directory::plan::Plan;
use crate::directory::plan::Source;
use crate::directory::read::FromMemory;
use crate::directory::read::PROMPT_MEMBERS_MAX;
use crate::scim::filter::Filter;
use crate::scim::filter::Mention;
use crate::scim::resource::answer;
use crate::scim::resource::answer::Meta;
use crate::scim::resource::memberships::put_groups;
use crate::scim::resource::memberships::put_members;
use crate::scim::schema::ResourceKind;
use crate::store::change::Select;

/// How many resources a scan reads before it lets others run.
const SCAN_STEP: usize = 256;

/// More candidates than this are looked at on the blocking pool, each against the filter.
const CANDIDATES_FEW: usize = 64;

/// A search over more candidates than this counts as a scan.
const CANDIDATES_MANY: usize = 1024;

/// Of names and times, an index is not asked for more candidates than this: writers wait while it
/// gathers them, and with so many it spares little.
const CANDIDATES_MAX: usize = 1 << 16;

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
    /// Whether the resources found are to have their memberships.
    whole: bool,
    /// What the filter asks of memberships.
    mention: Mention,
    /// Most members of groups among what is found.
    members_max: usize,
}

impl Search {
    /// A search for resources of `kind` that match `filter`, below the Tenant URL `base`. What is
    /// found has no memberships.
    pub fn new(kind: ResourceKind, filter: Option<Filter>, base: String) -> Self {
        let mention = filter
            .as_ref()
            .map_or(Mention::None, |filter| filter.mentions(kind.memberships()));
        let filter = filter.map(|filter| {
            let plan = Plan::of(&filter);
            (filter, plan)
        });
        Self {
            kind,
            filter,
            base,
            whole: false,
            mention,
            members_max: 0,
        }
    }

    /// The same, and what is found has its memberships: of groups at most `members_max` members
    /// together.
    #[must_use]
    pub fn whole(self, members_max: usize) -> Self {
        Self {
            whole: true,
            members_max,
            ..self
        }
    }
}

/// Where the candidates of a search come from.
enum Candidates<'a> {
    /// All resources are.
    All,
    /// The resource of this id, if there is one.
    Id(&'a str),
    /// What this selects; so many, or somewhat fewer.
    Selected(&'a Select, usize),
}

impl Candidates<'_> {
    /// How many there are at most.
    const fn count(&self) -> usize {
        match self {
            Self::All => usize::MAX,
            Self::Id(_) => 1,
            Self::Selected(_, count) => *count,
        }
    }
}

impl Directory {
    /// Whether many resources have to be looked at: such searches are limited in number.
    pub fn is_scan(&self, search: &Search) -> bool {
        let candidates = self.candidates(search);
        candidates.is_some_and(|candidates| candidates.count() > CANDIDATES_MANY)
    }

    /// Runs `search` if memory alone can answer it. Never blocks, never scans.
    pub fn search_in_memory(&self, search: &Search, page: Page) -> FromMemory<Found> {
        let candidates = self.candidates(search);
        let count = candidates.as_ref().map_or(0, Candidates::count);
        if count > CANDIDATES_FEW {
            return FromMemory::AskDisk;
        }
        let read = |id| match self.read_from_memory(search.kind, id, false) {
            FromMemory::Known(stored) => Ok(stored),
            FromMemory::AskDisk => Err(()),
        };
        let Ok(mut found) = self.run(search, candidates, page, &read) else {
            return FromMemory::AskDisk;
        };
        if search.whole {
            if self.members_among(search.kind, &found) > PROMPT_MEMBERS_MAX {
                return FromMemory::AskDisk;
            }
            for stored in &mut found.resources {
                match self.memberships(search.kind, stored) {
                    Some(memberships) => stored.memberships = memberships,
                    None => return FromMemory::AskDisk,
                }
            }
        }
        FromMemory::Known(found)
    }

    /// The source with the fewest candidates; none without a filter.
    fn candidates<'a>(&self, search: &'a Search) -> Option<Candidates<'a>> {
        let (_, plan) = search.filter.as_ref()?;
        let candidates = plan.sources.iter().map(|source| match source {
            Source::Id(id) => Candidates::Id(id),
            Source::Index(select) => {
                let count = self.store.estimate(self.row.id, search.kind, select);
                match select {
                    Select::Prefix(..) | Select::Times(..) if count > CANDIDATES_MAX => {
                        Candidates::All
                    }
                    Select::Key(..)
                    | Select::Prefix(..)
                    | Select::Times(..)
                    | Select::HasMember(_)
                    | Select::InGroup(_) => Candidates::Selected(select, count),
                }
            }
        });
        let fewest = candidates.min_by_key(Candidates::count);
        Some(fewest.unwrap_or(Candidates::All))
    }

    /// Runs `search`, reading from disk where need be.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Store`] when a record cannot be read.
    pub fn search(&self, search: &Search, page: Page) -> Result<Found, DirectoryError> {
        let kind = search.kind;
        let candidates = self.candidates(search);
        let mut found = self.run(search, candidates, page, &|id| self.read(kind, id, false))?;
        if search.whole {
            if self.members_among(kind, &found) > search.members_max {
                return Err(DirectoryError::TooManyMembers {
                    members_max: search.members_max,
                });
            }
            for mut stored in std::mem::take(&mut found.resources) {
                if let Some(memberships) = self.memberships(kind, &stored) {
                    stored.memberships = memberships;
                    found.resources.push(stored);
                } else {
                    found.resources.extend(self.read(kind, stored.id, true)?);
                }
            }
        }
        Ok(found)
    }

    /// How many members the resources of a page have together.
    fn members_among(&self, kind: ResourceKind, found: &Found) -> usize {
        let ids = found.resources.iter().map(|stored| stored.id);
        ids.map(|id| self.member_count(kind, id)).sum()
    }

    /// Puts into the tree of a resource what a filter asks of its memberships.
    fn put_mentioned(&self, search: &Search, id: ResourceId, tree: &mut Map<String, Value>) {
        let (kind, base) = (search.kind, &*search.base);
        match (&search.mention, kind) {
            (Mention::None, _) => {}
            (Mention::Values(_) | Mention::All, ResourceKind::User) => {
                let groups = self.store.groups_of(self.row.id, id);
                put_groups(tree, base, &groups.iter().map(group_of).collect::<Vec<_>>());
            }
            (Mention::Values(values), ResourceKind::Group) => {
                let ids = values.iter().filter_map(|value| ResourceId::parse(value));
                let members = ids.filter_map(|member| self.store.member(self.row.id, id, member));
                let members: Vec<_> = members.map(|member| member_of(&member)).collect();
                put_members(tree, base, &members);
            }
            (Mention::All, ResourceKind::Group) => {
                let members = self.store.members_now(self.row.id, id);
                let members: Vec<_> = members.iter().map(member_of).collect();
                put_members(tree, base, &members);
            }
        }
    }

    /// Runs `search` over `read`; `candidates` is what [`Directory::candidates`] chose.
    fn run<E>(
        &self,
        search: &Search,
        candidates: Option<Candidates<'_>>,
        page: Page,
        read: &dyn Fn(ResourceId) -> Result<Option<Stored>, E>,
    ) -> Result<Found, E> {
        let (Some((filter, plan)), Some(candidates)) = (&search.filter, candidates) else {
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
            directory: self,
            search,
            page,
            total: 0,
            resources: Vec::new(),
        };
        match candidates {
            Candidates::Id(text) => {
                if let Some(stored) = ResourceId::parse(text).map(read).transpose()?.flatten() {
                    matches.offer(stored, (!plan.exact).then_some(filter));
                }
            }
            Candidates::Selected(select, _) => {
                let selected = || self.store.select(self.row.id, search.kind, select);
                let ids = selected();
                if plan.exact && matches!(select, Select::HasMember(_) | Select::InGroup(_)) {
                    // Memberships alone decide: of a hundred thousand only the page is read.
                    let total = ids.len();
                    let mut resources = Vec::with_capacity(page.count.min(total));
                    for id in ids.into_iter().skip(page.offset).take(page.count) {
                        resources.extend(read(id)?);
                    }
                    return Ok(Found { total, resources });
                }
                // Asking the index again costs what it holds under the key, each time: under a key of
                // many resources, such as a manager, the filter is cheaper.
                let exact = plan.exact && ids.len() <= CANDIDATES_FEW;
                for (number, id) in ids.into_iter().enumerate() {
                    let Some(stored) = read(id)? else { continue };
                    // Between look-up and read the key may have moved to another resource.
                    if exact && !selected().contains(&id) {
                        continue;
                    }
                    matches.offer(stored, (!exact).then_some(filter));
                    let_others_run(number);
                }
            }
            Candidates::All => {
                let (_, ids) = self.store.page(self.row.id, search.kind, 0, usize::MAX);
                for (number, id) in ids.into_iter().enumerate() {
                    if let Some(stored) = read(id)? {
                        matches.offer(stored, Some(filter));
                    }
                    let_others_run(number);
                }
            }
        }
        Ok(Found {
            total: matches.total,
            resources: matches.resources,
        })
    }
}

/// Lets other requests come first now and then, on a machine with few cores.
fn let_others_run(number: usize) {
    if number % SCAN_STEP == SCAN_STEP / 2 {
        std::thread::yield_now();
    }
}

/// Matches as they are found: all are counted, those of the page are kept.
struct Matches<'a> {
    /// Where.
    directory: &'a Directory,
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
            let matches = tree.is_some_and(|mut tree| {
                let directory = self.directory;
                directory.put_mentioned(self.search, stored.id, &mut tree);
                filter.matches(&tree)
            });
            if !matches {
                return;
            }
        }
        self.total = self.total.saturating_add(1);
        if self.total > self.page.offset && self.resources.len() < self.page.count {
            self.resources.push(stored);
        }
    }
}
