//! How every file of the store begins: magic, format, checksum, then what the file says of itself,
//! with zeros up to a fixed length.
//!
//! The format comes before the checksum: a later one may have another layout behind it, and is to
//! be told from damage.

use crate::audit::bytes;
use crate::audit::bytes::BadBytes;
use crate::audit::bytes::Input;

/// Bytes before what the file says of itself.
const LEAD_BYTES: usize = 16;

/// A kind of file.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Form {
    /// How it begins.
    pub magic: [u8; 8],
    /// The newest format this program reads, and the one it writes.
    pub format: u32,
    /// The oldest format it reads.
    pub oldest: u32,
    /// Bytes of its header.
    pub bytes: usize,
}

/// Why a header was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHeader {
    /// Not a header, or damaged.
    Damaged,
    /// Of this newer format.
    Newer(u32),
}

impl From<BadBytes> for BadHeader {
    fn from(_error: BadBytes) -> Self {
        Self::Damaged
    }
}

impl Form {
    /// The header of a file that says `fields` of itself.
    pub fn encode(&self, fields: &[u8]) -> Vec<u8> {
        let mut rest = fields.to_vec();
        rest.resize(self.bytes.saturating_sub(LEAD_BYTES), 0);
        let mut out = Vec::with_capacity(self.bytes);
        out.extend_from_slice(&self.magic);
        bytes::put_u32(&mut out, self.format);
        bytes::put_u32(&mut out, crc32fast::hash(&rest));
        out.extend_from_slice(&rest);
        out
    }

    /// What a file with this header says of itself: the fields, then zeros.
    ///
    /// # Errors
    ///
    /// [`BadHeader`].
    pub fn decode<'a>(&self, header: &'a [u8]) -> Result<Input<'a>, BadHeader> {
        let mut input = Input::new(header);
        if input.array()? != self.magic {
            return Err(BadHeader::Damaged);
        }
        match input.u32()? {
            format if (self.oldest..=self.format).contains(&format) => {}
            newer if newer > self.format => return Err(BadHeader::Newer(newer)),
            _ => return Err(BadHeader::Damaged),
        }
        if header.len() != self.bytes || input.u32()? != crc32fast::hash(input.rest()) {
            return Err(BadHeader::Damaged);
        }
        Ok(input)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::header::BadHeader;
    use crate::store::header::Form;

    #[test]
    fn a_header_is_read_back_and_no_other_is() {
        let form = Form {
            magic: *b"ROLLTEST",
            format: 3,
            oldest: 3,
            bytes: 32,
        };
        let header = form.encode(b"fields");
        assert_eq!(header.len(), 32);
        let mut input = form.decode(&header).unwrap();
        assert_eq!(input.take(6), Ok(b"fields".as_slice()));
        for at in 0..32 {
            let mut other = header.clone();
            other[at] ^= 0x40;
            let expected = if (8..12).contains(&at) {
                BadHeader::Newer(3 ^ (0x40 << (8 * (at - 8))))
            } else {
                BadHeader::Damaged
            };
            assert_eq!(form.decode(&other).err(), Some(expected), "{at}");
            assert_eq!(
                form.decode(&header[..at]).err(),
                Some(BadHeader::Damaged),
                "{at}"
            );
        }
        let older = Form { format: 2, ..form }.encode(b"fields");
        assert_eq!(form.decode(&older).err(), Some(BadHeader::Damaged));
        let lenient = Form { oldest: 2, ..form };
        assert_eq!(lenient.decode(&older).map(|_input| ()), Ok(()));
    }
}
