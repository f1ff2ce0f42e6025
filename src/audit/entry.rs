//! Audit: what operators and the command line did, numbered for the whole appliance.

use crate::audit::bytes;
use crate::audit::bytes::BadBytes;
use crate::audit::bytes::Input;
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;

/// Version of the bytes of an [`AuditEntry`].
const VERSION: u8 = 1;

/// What is to be written to the audit; number and time are given when it is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditDraft {
    /// Who did it.
    pub actor: Actor,
    /// What was done: `token.create`.
    pub action: String,
    /// What it was done to: `directory entra`.
    pub target: String,
    /// More, as JSON. Never a secret.
    pub detail: String,
}

/// One act of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Counts the appliance's entries from 1 without a gap.
    pub number: u64,
    /// When it was committed.
    pub at: Timestamp,
    /// What was done.
    pub draft: AuditDraft,
}

impl AuditEntry {
    /// Appends the entry: header, then detail.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_header(out);
        bytes::put_text(out, &self.draft.detail);
    }

    /// Appends all but the detail.
    pub fn encode_header(&self, out: &mut Vec<u8>) {
        bytes::put_u8(out, VERSION);
        bytes::put_u64(out, self.number);
        bytes::put_time(out, self.at);
        bytes::put_actor(out, &self.draft.actor);
        bytes::put_text(out, &self.draft.action);
        bytes::put_text(out, &self.draft.target);
    }

    /// Reads what [`AuditEntry::encode`] wrote.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when the bytes are not an entry of a known version.
    pub fn decode(input: &mut Input<'_>) -> Result<Self, BadBytes> {
        let mut entry = Self::decode_header(input)?;
        input.text()?.clone_into(&mut entry.draft.detail);
        Ok(entry)
    }

    /// Reads what [`AuditEntry::encode_header`] wrote. The detail is left empty.
    ///
    /// # Errors
    ///
    /// [`BadBytes`] when the bytes are not a header of a known version.
    pub fn decode_header(input: &mut Input<'_>) -> Result<Self, BadBytes> {
        if input.u8()? != VERSION {
            return Err(BadBytes);
        }
        Ok(Self {
            number: input.u64()?,
            at: input.time()?,
            draft: AuditDraft {
                actor: input.actor()?,
                action: input.text()?.to_owned(),
                target: input.text()?.to_owned(),
                detail: String::new(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::audit::bytes::Input;
    use crate::audit::entry::AuditDraft;
    use crate::audit::entry::AuditEntry;
    use crate::base::actor::Actor;
    use crate::base::clock::Timestamp;

    #[test]
    fn an_entry_is_read_back_and_no_shorter_text_is() {
        let entry = AuditEntry {
            number: u64::MAX,
            at: Timestamp::from_millis(1),
            draft: AuditDraft {
                actor: Actor::System,
                action: "token.create".to_owned(),
                target: "directory entra".to_owned(),
                detail: "{}".to_owned(),
            },
        };
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        assert_eq!(
            AuditEntry::decode(&mut Input::new(&bytes)).as_ref(),
            Ok(&entry)
        );
        for short in 0..bytes.len() {
            let cut = AuditEntry::decode(&mut Input::new(&bytes[..short]));
            assert!(cut.is_err(), "{short}");
        }
    }
}
