//! Writes that were understood and not done yet: what is to happen, and how far it got.

use std::sync::Arc;

use crate::base::ident::ResourceId;
use crate::directory::Written;
use crate::directory::error::DirectoryError;
use crate::directory::members;
use crate::directory::members::Wish;
use crate::scim::resource::Note;
use crate::scim::resource::Resource;
use crate::scim::schema::ResourceKind;
use crate::store::change::Committed;
use crate::store::change::Transaction;

/// What a use case wants to happen to a resource it has read.
pub enum Decision {
    /// Nothing: it already is as asked.
    Keep,
    /// The new state, and the history payload.
    Put(Resource, Vec<u8>),
    /// It is to go; the history payload.
    Delete(Vec<u8>),
}

/// A use case's judgement of a resource: run once for each attempt.
pub type Judge =
    dyn Fn(&Resource, &mut Vec<Note>) -> Result<Decision, DirectoryError> + Send + Sync;

/// A transaction and the answer to give once it is durable.
pub(in crate::directory) struct Prepared {
    /// What to commit; `None` when nothing changes.
    pub transaction: Option<Transaction>,
    /// The answer.
    pub written: Written,
}

/// A write that was understood and not begun.
pub struct Intent {
    /// What it is about.
    pub(in crate::directory) kind: ResourceKind,
    /// What is to be done.
    pub(in crate::directory) what: What,
    /// What was tolerated in the request.
    pub(in crate::directory) notes: Vec<Note>,
}

/// What an [`Intent`] is to do.
pub(in crate::directory) enum What {
    /// To commit this, which depends on nothing that can change meanwhile.
    Put(Box<(Transaction, Written)>),
    /// To change or delete a resource as it then is.
    Change(Arc<Task>),
}

/// What a write does to a resource that it reads first.
pub(in crate::directory) struct Task {
    /// The kind of the resource.
    pub(in crate::directory) kind: ResourceKind,
    /// The resource.
    pub(in crate::directory) id: ResourceId,
    /// What becomes of it.
    pub(in crate::directory) judge: Arc<Judge>,
    /// What becomes of its members.
    pub(in crate::directory) wish: Option<Wish>,
    /// Whether it is to go.
    pub(in crate::directory) deletes: bool,
}

/// How far [`Directory::begin`](crate::directory::Directory::begin) got.
pub enum Begun {
    /// There was nothing to commit.
    Done(Written),
    /// The commit thread has it.
    Submitted(Submitted),
    /// Not at all: it takes longer than a thread that must not wait may take.
    NotPromptly(Intent),
}

/// A write on its way to the disk.
pub struct Submitted {
    /// What it is about.
    pub(in crate::directory) kind: ResourceKind,
    /// The answer once it is durable.
    pub(in crate::directory) written: Written,
    /// The same once more, should somebody be faster.
    pub(in crate::directory) again: Option<Intent>,
}

impl Submitted {
    /// The answer, now that it is durable.
    pub fn acknowledged(self, committed: &Committed) -> Written {
        let mut written = self.written;
        members::decided(&mut written, committed);
        if let Some(mut intent) = self.again {
            written.notes.append(&mut intent.notes);
        }
        written
    }
}

impl Intent {
    /// To commit `transaction` and answer `written`.
    pub(in crate::directory) fn put(
        kind: ResourceKind,
        transaction: Transaction,
        written: Written,
    ) -> Self {
        Self {
            kind,
            what: What::Put(Box::new((transaction, written))),
            notes: Vec::new(),
        }
    }

    /// To change the resource `id` as `judge` decides, and its members as is wished.
    pub(in crate::directory) fn change(
        kind: ResourceKind,
        id: ResourceId,
        judge: Arc<Judge>,
        wish: Option<Wish>,
        notes: Vec<Note>,
    ) -> Self {
        let task = Task {
            kind,
            id,
            judge,
            wish,
            deletes: false,
        };
        Self {
            kind,
            what: What::Change(Arc::new(task)),
            notes,
        }
    }

    /// To delete the resource `id`, of which `judge` says what to remember.
    pub(in crate::directory) fn deletion(
        kind: ResourceKind,
        id: ResourceId,
        judge: Arc<Judge>,
    ) -> Self {
        let task = Task {
            kind,
            id,
            judge,
            wish: None,
            deletes: true,
        };
        Self {
            kind,
            what: What::Change(Arc::new(task)),
            notes: Vec::new(),
        }
    }
}
