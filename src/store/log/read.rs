//! Reading the commit log back: which segments there are, what is in them, where it ends.
//!
//! A bad frame with nothing valid behind it is a torn tail: it was never acknowledged and is cut.
//! A bad frame with a valid one behind it is damage, and refused with file and offset: going on
//! would drop acknowledged changes.

use std::fs;
use std::fs::File;
use std::io;
use std::io::BufReader;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::path::Path;
use std::path::PathBuf;

use crate::store::error::OpenError;
use crate::store::header::BadHeader;
use crate::store::log::frame::HEAD_BYTES;
use crate::store::log::frame::Head;
use crate::store::log::frame::Kind;
use crate::store::log::frame::StoreId;
use crate::store::log::group;
use crate::store::log::group::Logged;
use crate::store::log::segment;
use crate::store::log::segment::FORMAT;
use crate::store::log::segment::FRAMES_AT;
use crate::store::log::segment::Header;
use crate::store::log::tail::Tail;
use crate::store::log::tail::search_tail;
use crate::store::log::tail::zero;
use crate::store::log::write::Tip;

/// Bytes read at once.
pub(in crate::store::log) const CHUNK_BYTES: usize = 1 << 20;

/// A segment on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its file.
    pub path: PathBuf,
    /// The first transaction in it, by its name.
    pub first_seq: u64,
    /// What it says of itself, when it can be read.
    pub header: Option<Header>,
}

/// Damage at an offset of a file.
fn damaged(file: &Path, offset: u64, what: impl Into<String>) -> OpenError {
    OpenError::Damaged {
        file: file.to_owned(),
        offset,
        what: what.into(),
    }
}

/// The segments in `dir`, in order. An unreadable header is no error yet: the segment may not be
/// needed.
///
/// # Errors
///
/// [`OpenError::Newer`] when one has a newer format, [`OpenError::Io`].
pub fn list(dir: &Path) -> Result<Vec<Segment>, OpenError> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir).map_err(OpenError::io("read", dir))? {
        let entry = entry.map_err(OpenError::io("read", dir))?;
        let name = entry.file_name();
        let Some(first_seq) = name.to_str().and_then(segment::first_seq_of) else {
            continue;
        };
        let path = entry.path();
        let header = match read_header(&path) {
            Ok(Ok(header)) => Some(header).filter(|header| header.first_seq == first_seq),
            Ok(Err(BadHeader::Damaged)) => None,
            Ok(Err(BadHeader::Newer(found))) => {
                return Err(OpenError::Newer {
                    file: path,
                    found,
                    known: FORMAT,
                });
            }
            Err(error) => return Err(OpenError::io("read", &path)(error)),
        };
        segments.push(Segment {
            path,
            first_seq,
            header,
        });
    }
    segments.sort_by_key(|segment| segment.first_seq);
    Ok(segments)
}

/// Reads a segment's header.
fn read_header(path: &Path) -> io::Result<Result<Header, BadHeader>> {
    let mut header = Vec::new();
    File::open(path)?.take(FRAMES_AT).read_to_end(&mut header)?;
    Ok(Header::decode(&header))
}

/// A frame as it was read.
#[derive(Debug)]
pub(in crate::store::log) struct Frame {
    /// Its head.
    pub head: Head,
    /// All its bytes.
    whole: Vec<u8>,
    /// Where the body ends.
    body_end: usize,
}

impl Frame {
    /// The body.
    fn body(&self) -> &[u8] {
        self.whole
            .get(HEAD_BYTES..self.body_end)
            .unwrap_or_default()
    }
}

/// Reads the frame that begins where `input` is. Nothing when there is no sound one.
pub(in crate::store::log) fn read_frame(
    input: &mut impl Read,
    store: StoreId,
) -> io::Result<Option<Frame>> {
    let mut begin = [0; HEAD_BYTES];
    if !fill(input, &mut begin)? {
        return Ok(None);
    }
    let Ok(head) = Head::decode(&begin) else {
        return Ok(None);
    };
    // Read as it comes: a damaged length must not make us ask for memory that is not needed.
    let mut whole = begin.to_vec();
    let padded = u64::try_from(head.padded_body_bytes()).unwrap_or(u64::MAX);
    input.take(padded).read_to_end(&mut whole)?;
    let body = whole.get(HEAD_BYTES..).unwrap_or_default();
    if body.len() != head.padded_body_bytes() {
        return Ok(None);
    }
    let body_bytes = head.holds(store, &begin, body).map(<[u8]>::len);
    Ok(body_bytes.map(|bytes| Frame {
        head,
        whole,
        body_end: HEAD_BYTES.saturating_add(bytes),
    }))
}

/// Fills `to`, or says that the input ended before.
fn fill(input: &mut impl Read, to: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// One transaction of the log.
#[derive(Debug)]
pub struct Transaction {
    /// Its number.
    pub seq: u64,
    /// What it did.
    pub logged: Logged,
}

/// A tail that was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The segment.
    pub file: PathBuf,
    /// Where the tail began.
    pub offset: u64,
    /// How many bytes it had.
    pub bytes: u64,
}

/// Where the log ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The next transaction's number.
    pub next_seq: u64,
    /// Where the next frame goes.
    pub tip: Tip,
    /// What was cut off, when anything was.
    pub cut: Option<Cut>,
}

/// Hands every transaction after number `after` to `visit`, in order, and cuts a torn tail off.
/// `held` is the last transaction of which the state has anything: a log that ends before it lost
/// something acknowledged, and is left as it is.
///
/// # Errors
///
/// [`OpenError`] as `E`, or what `visit` says.
pub fn replay<E: From<OpenError>>(
    segments: &[Segment],
    store: StoreId,
    after: u64,
    held: u64,
    visit: &mut dyn FnMut(Transaction) -> Result<(), E>,
) -> Result<End, E> {
    let first_needed = segments
        .iter()
        .rposition(|segment| segment.first_seq <= after.saturating_add(1));
    let needed = first_needed.and_then(|at| segments.get(at..));
    let Some((first, _rest)) = needed.and_then(<[Segment]>::split_first) else {
        let file = segments.first().map(|s| s.path.clone()).unwrap_or_default();
        let what = format!("the commit log begins after transaction {after}, which is needed");
        return Err(damaged(&file, 0, what).into());
    };
    let mut walk = Walk {
        store,
        after,
        next_seq: first.first_seq,
        previous: None,
        closed: false,
    };
    let mut needed = needed.unwrap_or_default().iter().peekable();
    while let Some(segment) = needed.next() {
        let header = walk.enter(segment)?;
        let (offset, last_frame) = walk.frames(segment, visit)?;
        if let Some(next) = needed.peek() {
            if next.first_seq != walk.next_seq {
                let what = format!(
                    "transaction {} is missing although {} begins with {}",
                    walk.next_seq,
                    next.path.display(),
                    next.first_seq
                );
                return Err(damaged(&segment.path, offset, what).into());
            }
            let last = last_frame.as_deref();
            walk.previous = Some(last.map_or(header.previous, segment::hash));
            continue;
        }
        if walk.closed {
            let file = segment.path.with_file_name(segment::name(walk.next_seq));
            let what = format!(
                "it is missing, although {} says that the commit log goes on there",
                segment.path.display()
            );
            return Err(damaged(&file, 0, what).into());
        }
        let cut = walk.tail(segment, offset, held, header.bytes)?;
        return Ok(End {
            next_seq: walk.next_seq,
            tip: Tip {
                path: segment.path.clone(),
                offset,
                segment_bytes: header.bytes,
                last_frame,
                previous: header.previous,
            },
            cut,
        });
    }
    Err(damaged(&first.path, 0, "it cannot be read").into())
}

/// Hands every transaction that can be read to `visit`, segment by segment, and passes over what
/// cannot.
///
/// # Errors
///
/// What `visit` says.
pub fn scan(
    segments: &[Segment],
    store: StoreId,
    visit: &mut dyn FnMut(Transaction) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    for segment in segments {
        let mut walk = Walk {
            store,
            after: 0,
            next_seq: segment.first_seq,
            previous: None,
            closed: false,
        };
        let mut refused = None;
        let frames = walk.frames::<OpenError>(segment, &mut |transaction| {
            if refused.is_none() {
                refused = visit(transaction).err();
            }
            Ok(())
        });
        if let Some(error) = refused {
            return Err(error);
        }
        if let Err(error) = frames {
            tracing::warn!(%error, "a segment of the commit log cannot be read to its end");
        }
    }
    Ok(())
}

/// A walk through segments.
struct Walk {
    /// The store they must belong to.
    store: StoreId,
    /// Transactions up to here are not handed out.
    after: u64,
    /// The number the next frame must begin with.
    next_seq: u64,
    /// Hash of the last frame of the segment before, when that was read.
    previous: Option<segment::FrameHash>,
    /// The segment read last says that there is another one.
    closed: bool,
}

impl Walk {
    /// Checks that `segment` follows.
    fn enter(&self, segment: &Segment) -> Result<Header, OpenError> {
        let Some(header) = segment.header else {
            return Err(damaged(&segment.path, 0, "its header is not readable"));
        };
        if header.store != self.store {
            return Err(damaged(&segment.path, 0, "it belongs to another store"));
        }
        if self.previous.is_some_and(|hash| hash != header.previous) {
            let what = "it does not continue the segment before it (one of the two was exchanged)";
            return Err(damaged(&segment.path, 0, what));
        }
        Ok(header)
    }

    /// Hands out the transactions of one segment. Returns where its sound frames end and the last
    /// of them.
    fn frames<E: From<OpenError>>(
        &mut self,
        segment: &Segment,
        visit: &mut dyn FnMut(Transaction) -> Result<(), E>,
    ) -> Result<(u64, Option<Vec<u8>>), E> {
        let path = &segment.path;
        let mut file = File::open(path).map_err(OpenError::io("open", path))?;
        file.seek(SeekFrom::Start(FRAMES_AT))
            .map_err(OpenError::io("read", path))?;
        let mut input = BufReader::with_capacity(CHUNK_BYTES, file);
        let (mut offset, mut last) = (FRAMES_AT, None);
        self.closed = false;
        loop {
            let frame = read_frame(&mut input, self.store).map_err(OpenError::io("read", path))?;
            // A sound frame with another number is left over from before: not part of the log.
            let Some(frame) = frame.filter(|frame| frame.head.seq == self.next_seq) else {
                return Ok((offset, last));
            };
            if frame.head.kind == Kind::Closed {
                self.closed = true;
                return Ok((offset, last));
            }
            for logged in transactions(&frame, path, offset)? {
                let seq = self.next_seq;
                self.next_seq = seq.saturating_add(1);
                if seq > self.after {
                    visit(Transaction { seq, logged })?;
                }
            }
            let bytes = u64::try_from(frame.whole.len()).unwrap_or(u64::MAX);
            offset = offset.saturating_add(bytes);
            last = Some(frame.whole);
        }
    }

    /// Looks at what is behind the last sound frame of the last segment, which was made with
    /// `bytes`, and makes it zeros, unless transactions up to `held` are missing there.
    fn tail(
        &self,
        segment: &Segment,
        offset: u64,
        held: u64,
        bytes: u64,
    ) -> Result<Option<Cut>, OpenError> {
        let path = &segment.path;
        let search = || -> io::Result<(Tail, u64)> {
            let file = File::open(path)?;
            let tail = search_tail(&file, self.store, offset, self.next_seq)?;
            Ok((tail, file.metadata()?.len()))
        };
        let (tail, left) = search().map_err(OpenError::io("read", path))?;
        if left < bytes {
            // A segment never changes its size: no crash shortens it, and whatever was acknowledged
            // may have been in what is gone.
            let what = format!("the file has {left} bytes, but was made with {bytes}");
            return Err(damaged(path, left, what));
        }
        match tail {
            Tail::Frame { at, seq } => {
                let what = format!(
                    "there is no sound frame, but a sound one with transaction {seq} follows at \
                     byte {at}"
                );
                Err(damaged(path, offset, what))
            }
            // Nothing is cut: what cannot be read here was acknowledged, and may yet be mended.
            Tail::Zeros | Tail::Torn { .. } if self.next_seq <= held => {
                let what = format!(
                    "the commit log ends before transaction {held}, which the state already holds"
                );
                Err(damaged(path, offset, what))
            }
            Tail::Zeros => Ok(None),
            Tail::Torn { end } => {
                zero(path, offset, end).map_err(OpenError::io("write", path))?;
                Ok(Some(Cut {
                    file: path.clone(),
                    offset,
                    bytes: end.saturating_sub(offset),
                }))
            }
        }
    }
}

/// The transactions of a frame.
fn transactions(frame: &Frame, path: &Path, offset: u64) -> Result<Vec<Logged>, OpenError> {
    match frame.head.kind {
        Kind::Opened | Kind::Closed => Ok(Vec::new()),
        Kind::Group => group::decode(frame.body())
            .map_err(|error| damaged(path, offset, format!("a sound frame, but {error}"))),
    }
}
