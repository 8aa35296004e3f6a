//! What a collection says about an element besides its value.

use smallvec::SmallVec;

use super::coder::{Coder, urn};
use super::{ElementMetadata, Input, Nesting, Pane, Timestamp};
use crate::element::layout::Layout;
use crate::error::{Error, Result};

/// Timestamp, windows and pane of one element.
///
/// Windows stay encoded until somebody looks at them: most functions never do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Event time.
    pub timestamp: Timestamp,
    /// The windows that the element is in.
    pub windows: WindowBytes,
    /// Which firing of those windows it belongs to.
    pub pane: Pane,
    /// Drain mark and trace context, where the runner sends them.
    pub metadata: Option<Box<ElementMetadata>>,
}

/// How the header of most elements goes on after its timestamp: one global window, and a pane that no trigger has seen.
const PLAIN: [u8; 5] = [0, 0, 0, 1, 0x0f];

impl Header {
    /// An element in the global window that no trigger has seen.
    pub fn global(timestamp: Timestamp) -> Self {
        Header {
            timestamp,
            windows: WindowBytes::global(),
            pane: Pane::NO_FIRING,
            metadata: None,
        }
    }

    /// The header that all values of a `param_windowed_value` coder share: its payload.
    ///
    /// # Errors
    /// A payload that is no windowed value of the coder's windows.
    pub fn of_params(coder: &Coder) -> Result<Self> {
        let coding = WindowCoding::of(coder.component(1)?)?;
        let mut header = Header::global(Timestamp::MIN);
        header
            .decode_into(&mut Input::new(&coder.payload), &coding)
            .map_err(|error| {
                Error::descriptor(format!(
                    "the payload of {coder} is no windowed value: {}",
                    error.message()
                ))
            })?;
        Ok(header)
    }

    /// Appends the wire form: everything of a windowed value that stands before the value.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        let is_plain = self.windows.count == 1
            && self.windows.bytes.is_empty()
            && self.pane == Pane::NO_FIRING
            && self.metadata.is_none();
        if is_plain {
            let mut header = [0; 13];
            header[..8].copy_from_slice(&self.timestamp.to_wire());
            header[8..].copy_from_slice(&PLAIN);
            out.extend_from_slice(&header);
        } else {
            self.encode_any(out);
        }
    }

    fn encode_any(&self, out: &mut Vec<u8>) {
        self.timestamp.encode(out);
        self.windows.encode(out);
        self.pane.encode(out, self.metadata.is_some());
        if let Some(metadata) = &self.metadata {
            metadata.encode(out);
        }
    }

    /// Reads the wire form into this header, whose allocations are used again.
    ///
    /// # Errors
    /// Bytes that end early or that the format does not allow.
    #[inline]
    pub fn decode_into(&mut self, input: &mut Input<'_>, coding: &WindowCoding) -> Result<()> {
        if matches!(coding, WindowCoding::Global)
            && let Some((time, after)) = input.rest().split_first_chunk::<8>()
            && after.starts_with(&PLAIN)
        {
            self.timestamp = Timestamp::from_wire(*time);
            self.windows.count = 1;
            self.windows.bytes.clear();
            self.pane = Pane::NO_FIRING;
            self.metadata = None;
            return input.take(8 + PLAIN.len()).map(drop);
        }
        self.decode_any(input, coding)
    }

    fn decode_any(&mut self, input: &mut Input<'_>, coding: &WindowCoding) -> Result<()> {
        self.timestamp = Timestamp::decode(input)?;
        self.windows.decode_into(input, coding)?;
        let (pane, has_metadata) = Pane::decode(input)?;
        self.pane = pane;
        self.metadata = if has_metadata {
            Some(Box::new(ElementMetadata::decode(input)?))
        } else {
            None
        };
        Ok(())
    }
}

/// The windows of one element: how many, and their encodings one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowBytes {
    count: u32,
    bytes: SmallVec<[u8; 24]>,
}

impl WindowBytes {
    /// The global window alone, whose encoding is empty.
    pub fn global() -> Self {
        WindowBytes {
            count: 1,
            bytes: SmallVec::new(),
        }
    }

    /// No window: an element that is processed zero times.
    pub fn none() -> Self {
        WindowBytes {
            count: 0,
            bytes: SmallVec::new(),
        }
    }

    /// The windows whose encodings stand one after the other in `bytes`.
    pub fn of(count: u32, bytes: &[u8]) -> Self {
        WindowBytes {
            count,
            bytes: SmallVec::from_slice(bytes),
        }
    }

    /// Adds one encoded window.
    pub fn push(&mut self, window: &[u8]) {
        self.count += 1;
        self.bytes.extend_from_slice(window);
    }

    /// Removes all windows.
    pub fn clear(&mut self) {
        self.count = 0;
        self.bytes.clear();
    }

    /// Replaces all windows by one.
    pub fn set_one(&mut self, window: &[u8]) {
        self.count = 1;
        self.bytes.clear();
        self.bytes.extend_from_slice(window);
    }

    /// How many windows there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The encodings, one after the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The encoding of each window.
    ///
    /// # Errors
    /// Encodings that do not fit the coding.
    pub fn split(&self, coding: &WindowCoding) -> Result<SmallVec<[&[u8]; 1]>> {
        let mut input = Input::new(&self.bytes);
        (0..self.count)
            .map(|_| {
                let before = input.rest();
                coding.skip(&mut input)?;
                Ok(&before[..before.len() - input.remaining()])
            })
            .collect()
    }

    /// Appends the wire form: how many, and their encodings.
    #[inline]
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(&self.bytes);
    }

    /// Reads the wire form into these windows, whose allocation is used again.
    #[inline]
    pub(super) fn decode_into(
        &mut self,
        input: &mut Input<'_>,
        coding: &WindowCoding,
    ) -> Result<()> {
        let count = u32::from_be_bytes(input.array::<4>()?);
        let before = input.rest();
        match coding {
            // Windows of no bytes cost nothing on the wire, so their number must not be believed.
            WindowCoding::Global if count > 1 => {
                return Err(Error::decode(format!(
                    "an element is in {count} global windows, but there is one only"
                )));
            }
            WindowCoding::Global => {}
            WindowCoding::Interval | WindowCoding::Other(_) => {
                for _ in 0..count {
                    coding.skip(input)?;
                }
            }
        }
        self.bytes.clear();
        self.count = count;
        if input.remaining() != before.len() {
            self.bytes
                .extend_from_slice(&before[..before.len() - input.remaining()]);
        }
        Ok(())
    }
}

/// How the windows of a collection are encoded: enough to step over one.
#[derive(Debug, Clone)]
pub enum WindowCoding {
    /// No bytes at all.
    Global,
    /// End as eight bytes, span as a varint.
    Interval,
    /// Whatever the window coder says.
    Other(Layout),
}

impl WindowCoding {
    /// The coding of a window coder.
    ///
    /// # Errors
    /// A coder whose values cannot be stepped over.
    pub fn of(coder: &Coder) -> Result<Self> {
        Ok(match coder.urn.as_ref() {
            urn::GLOBAL_WINDOW => WindowCoding::Global,
            urn::INTERVAL_WINDOW => WindowCoding::Interval,
            _ => WindowCoding::Other(Layout::of(coder)?),
        })
    }

    /// Steps over one window.
    ///
    /// # Errors
    /// Bytes that end early or that the coder does not allow.
    #[inline]
    pub fn skip(&self, input: &mut Input<'_>) -> Result<()> {
        match self {
            WindowCoding::Global => Ok(()),
            WindowCoding::Interval => {
                input.array::<8>()?;
                input.varint().map(drop)
            }
            WindowCoding::Other(layout) => {
                let before = input.remaining();
                layout.skip(input, Nesting::Nested)?;
                if before == input.remaining() {
                    return Err(Error::decode("a window is encoded in zero bytes"));
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], coding: &WindowCoding) -> Result<Header> {
        let mut header = Header::global(Timestamp::MAX);
        let mut input = Input::new(bytes);
        header.decode_into(&mut input, coding)?;
        assert!(input.is_empty());
        Ok(header)
    }

    #[test]
    fn global_header_round_trips() {
        let header = Header::global(Timestamp::from_millis(0));
        let mut out = Vec::new();
        header.encode(&mut out);
        assert_eq!(out, [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x0f]);
        assert_eq!(read(&out, &WindowCoding::Global).expect("valid"), header);
    }

    #[test]
    fn interval_windows_are_kept_encoded() {
        // [0, 5 s) and [5 s, 10 s)
        let mut bytes = vec![0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
        bytes.extend([0x80, 0, 0, 0, 0, 0, 0x13, 0x88, 0x88, 0x27]);
        bytes.extend([0x80, 0, 0, 0, 0, 0, 0x27, 0x10, 0x88, 0x27]);
        bytes.push(0x0f);
        let header = read(&bytes, &WindowCoding::Interval).expect("valid");
        assert_eq!(header.windows.count(), 2);
        let windows = header
            .windows
            .split(&WindowCoding::Interval)
            .expect("valid");
        assert_eq!(windows[1], [0x80, 0, 0, 0, 0, 0, 0x27, 0x10, 0x88, 0x27]);
        let mut out = Vec::new();
        header.encode(&mut out);
        assert_eq!(out, bytes);
    }

    #[test]
    fn metadata_is_carried_along() {
        let bytes = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x8f, 2, 0x08, 0x02];
        let header = read(&bytes, &WindowCoding::Global).expect("valid");
        assert_eq!(
            header.metadata.as_ref().expect("there").encoded(),
            [0x08, 0x02]
        );
        let mut out = Vec::new();
        header.encode(&mut out);
        assert_eq!(out, bytes);
    }

    #[test]
    fn a_window_count_that_lies_is_an_error() {
        let bytes = [0x80, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(read(&bytes, &WindowCoding::Interval).is_err());
        assert!(read(&bytes, &WindowCoding::Global).is_err());
    }
}
