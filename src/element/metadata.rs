//! What a runner says of an element beyond its time, windows and pane.

use super::{Input, put_varint};
use crate::error::Result;

/// What kind of change of a table an element stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueKind {
    /// A row that is new.
    Insert,
    /// A row as it was before a change.
    UpdateBefore,
    /// A row as it is after a change.
    UpdateAfter,
    /// A row that is gone.
    Delete,
}

/// An `Elements.ElementMetadata` message. It is carried along as it came, with fields that nobody here knows, and read
/// when asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementMetadata {
    encoded: Vec<u8>,
}

const DRAIN: u64 = 1;
const TRACE_PARENT: u64 = 2;
const TRACE_STATE: u64 = 3;
const VALUE_KIND: u64 = 4;

/// `DrainMode.DRAINING`.
const DRAINING: u64 = 2;

impl ElementMetadata {
    /// Reads the wire form: a length, and the message.
    ///
    /// # Errors
    /// Bytes that end early. What the message holds is not looked at.
    pub(super) fn decode(input: &mut Input<'_>) -> Result<Self> {
        let length = input.length()?;
        Ok(ElementMetadata {
            encoded: input.take(length)?.to_vec(),
        })
    }

    /// Appends the wire form.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.encoded.len() as u64);
        out.extend_from_slice(&self.encoded);
    }

    /// The message's bytes.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// Whether the element exists because the pipeline is being drained.
    pub fn caused_by_drain(&self) -> bool {
        matches!(self.field(DRAIN), Some(Field::Number(DRAINING)))
    }

    /// The `traceparent` of the W3C trace context that the element belongs to.
    pub fn trace_parent(&self) -> Option<&str> {
        self.text(TRACE_PARENT)
    }

    /// The `tracestate` of the W3C trace context that the element belongs to.
    pub fn trace_state(&self) -> Option<&str> {
        self.text(TRACE_STATE)
    }

    /// What kind of change the element stands for, if the runner says so.
    pub fn value_kind(&self) -> Option<ValueKind> {
        match self.field(VALUE_KIND)? {
            Field::Number(1) => Some(ValueKind::Insert),
            Field::Number(2) => Some(ValueKind::UpdateBefore),
            Field::Number(3) => Some(ValueKind::UpdateAfter),
            Field::Number(4) => Some(ValueKind::Delete),
            _ => None,
        }
    }

    fn text(&self, number: u64) -> Option<&str> {
        match self.field(number)? {
            Field::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            Field::Number(_) => None,
        }
    }

    /// The last value of a field: there it stands if the message was merged of several. Of a message that is broken, what
    /// comes before the break.
    fn field(&self, wanted: u64) -> Option<Field<'_>> {
        let mut input = Input::new(&self.encoded);
        let mut found = None;
        while !input.is_empty() {
            let Ok((number, field)) = Field::next(&mut input) else {
                break;
            };
            if number == wanted && field.is_some() {
                found = field;
            }
        }
        found
    }
}

/// The value of a protobuf field of the types that occur here.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    /// Reads a field's number and its value, unless that is of another type.
    fn next(input: &mut Input<'a>) -> Result<(u64, Option<Self>)> {
        let key = input.varint()?;
        let field = match key & 7 {
            0 => Some(Field::Number(input.varint()?)),
            1 => input.take(8).map(|_| None)?,
            2 => {
                let length = input.length()?;
                Some(Field::Bytes(input.take(length)?))
            }
            5 => input.take(4).map(|_| None)?,
            wire_type => {
                return Err(crate::Error::decode(format!(
                    "element metadata has a field of the unknown wire type {wire_type}"
                )));
            }
        };
        Ok((key >> 3, field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(message: &[u8]) -> ElementMetadata {
        let mut bytes = vec![message.len() as u8];
        bytes.extend_from_slice(message);
        let metadata = ElementMetadata::decode(&mut Input::new(&bytes)).expect("valid");
        let mut out = Vec::new();
        metadata.encode(&mut out);
        assert_eq!(out, bytes);
        metadata
    }

    #[test]
    fn fields_are_read_when_asked() {
        let metadata = of(b"\x08\x02\x12\x0300-\x1a\x04a=b1\x20\x03");
        assert!(metadata.caused_by_drain());
        assert_eq!(metadata.trace_parent(), Some("00-"));
        assert_eq!(metadata.trace_state(), Some("a=b1"));
        assert_eq!(metadata.value_kind(), Some(ValueKind::UpdateAfter));
    }

    #[test]
    fn nothing_is_said_by_default() {
        let metadata = of(b"");
        assert!(!metadata.caused_by_drain());
        assert_eq!(metadata.trace_parent(), None);
        assert_eq!(metadata.value_kind(), None);
        assert!(!of(b"\x08\x01").caused_by_drain());
    }

    #[test]
    fn fields_of_later_versions_are_stepped_over() {
        let metadata =
            of(b"\x29\x01\x02\x03\x04\x05\x06\x07\x08\x35\x01\x02\x03\x04\x4a\x01x\x08\x02");
        assert!(metadata.caused_by_drain());
    }

    #[test]
    fn broken_messages_say_what_comes_before_the_break() {
        assert!(of(b"\x08\x02\x12\x7f").caused_by_drain());
        assert_eq!(of(b"\x12\x02\xff\xfe").trace_parent(), None);
        assert_eq!(of(b"\x0b\x08\x02").value_kind(), None);
        assert_eq!(of(b"\xff").value_kind(), None);
    }

    #[test]
    fn a_length_that_lies_is_an_error() {
        assert!(ElementMetadata::decode(&mut Input::new(&[0xff, 0x7f, 1])).is_err());
    }
}
