//! PATCH (RFC 7644 §3.5.2): a list of operations, carried out in order, all or none.
//!
//! `parse` turns the message into typed operations, `apply` carries them out on a tree. Both are
//! strict and know no client; `dialect` rewrites what Entra sends before `parse` sees it.

use serde_json::Value;

use crate::scim::error::ScimError;
use crate::scim::members::MemberStep;
use crate::scim::path::PatchPath;
use crate::scim::resource::Note;
use crate::scim::resource::Resource;
use crate::scim::schema::ResourceKind;
use crate::scim::schema::registry::Registry;

mod apply;
mod elements;
mod members;
mod parse;
#[cfg(test)]
mod tests;

/// The URN that a PATCH message carries in `schemas`.
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// The code of the note that an element was built because a filter matched none.
pub const ELEMENT_BUILT: &str = "patch.element_built";
/// The code of the note that an element went because a removal left nothing but labels of it.
pub const LABELS_DROPPED: &str = "patch.labels_dropped";
/// Most operations in one message, as in one bulk request.
pub const OPERATIONS_MAX: usize = 1000;

/// An operation as it was sent: nothing of it is checked but the JSON types.
#[derive(Clone, Debug, PartialEq)]
pub struct RawOperation {
    /// Its place in the message, from 1. Survives being rewritten into several.
    pub number: usize,
    /// What to do.
    pub op: String,
    /// What to act on. `None` for the attributes that `value` names.
    pub path: Option<String>,
    /// What to set. `Some(Null)` where null was sent.
    pub value: Option<Value>,
    /// What it may do beyond the RFC.
    pub licence: Licence,
}

/// What an operation may do beyond the RFC: nothing, unless a dialect says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Licence {
    /// What happens where a filter matches no element.
    pub on_no_match: OnNoMatch,
    /// What becomes of an element that has lost its value.
    pub labels: Labels,
    /// Whether a filter may choose the only value of an attribute.
    pub single_filter: bool,
}

/// What happens where an add or replace finds no element to act on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnNoMatch {
    /// 400 `noTarget` (RFC 7644 §3.5.2.3).
    #[default]
    Refuse,
    /// The element that the filter describes is built first.
    Create,
}

/// What becomes of an element of which a removal leaves only `type` and `primary`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Labels {
    /// It stays: the RFC removes empty elements only.
    #[default]
    Keep,
    /// It goes, once all operations are done.
    Drop,
}

/// A PATCH that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// What to do, in order.
    operations: Vec<Operation>,
}

/// One step of a PATCH, on one attribute, with a value that fits it: names have the schema's
/// spelling, the value of a multi-valued attribute is an array, nothing is unassigned.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Sets what is missing and keeps what is there (RFC 7644 §3.5.2.1).
    Add {
        /// What to act on; never a whole extension.
        path: PatchPath,
        /// What to add.
        value: Value,
        /// What happens where no element is found.
        on_no_match: OnNoMatch,
    },
    /// Sets the value, whatever there is (RFC 7644 §3.5.2.3).
    Replace {
        /// What to act on; never a whole extension.
        path: PatchPath,
        /// What to set.
        value: Value,
        /// What happens where no element is found.
        on_no_match: OnNoMatch,
    },
    /// Takes away (RFC 7644 §3.5.2.2).
    Remove {
        /// What to act on.
        path: PatchPath,
        /// What becomes of an element that has lost its value.
        labels: Labels,
    },
}

/// What a PATCH came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The resource as it is now.
    Changed(Resource),
    /// It already was as the operations wanted it.
    Unchanged,
}

impl Patch {
    /// Reads the message of a PATCH on a resource of a kind. The registry's profile decides what is
    /// tolerated beyond the RFC; what was tolerated is noted.
    ///
    /// # Errors
    ///
    /// What the client is told, with the number of the operation.
    pub fn parse(
        body: Value,
        registry: &Registry,
        kind: ResourceKind,
        notes: &mut Vec<Note>,
    ) -> Result<Self, ScimError> {
        parse::patch(body, registry, kind, notes).map(|operations| Self { operations })
    }

    /// The operations, in order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Parts what concerns the members of a group from the rest, since memberships are no part of
    /// what is stored of it. Both keep their order; neither can see what the other does. Where a
    /// filter describes a member to be, that is noted.
    ///
    /// # Errors
    ///
    /// 400 `mutability` when a member is to be changed rather than added or removed.
    pub fn split(self, notes: &mut Vec<Note>) -> Result<(Self, Vec<MemberStep>), ScimError> {
        let (operations, steps) = members::split(self.operations, notes)?;
        Ok((Self { operations }, steps))
    }

    /// Carries the operations out on a copy of the resource.
    ///
    /// # Errors
    ///
    /// What the client is told; the resource is then as it was.
    pub fn apply(&self, resource: &Resource, registry: &Registry) -> Result<Outcome, ScimError> {
        self.apply_noting(resource, registry, &mut Vec::new())
    }

    /// Does the same, and notes which elements had to be built for a filter to match, and which went
    /// with their value.
    ///
    /// # Errors
    ///
    /// As [`Self::apply`].
    pub fn apply_noting(
        &self,
        resource: &Resource,
        registry: &Registry,
        notes: &mut Vec<Note>,
    ) -> Result<Outcome, ScimError> {
        apply::apply(&self.operations, resource, registry, notes)
    }
}
