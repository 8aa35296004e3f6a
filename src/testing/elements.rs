//! Elements as data streams carry them.

use bytes::Bytes;

use super::Timed;
use crate::element::{Element, Header, Nesting, Timestamp, encoded};
use crate::window::WindowFn;

/// Elements in the global window, at the beginning of time.
pub fn in_global_window<T: Element>(values: impl IntoIterator<Item = T>) -> Vec<Bytes> {
    let header = Header::global(Timestamp::MIN);
    let values = values.into_iter();
    values
        .map(|value| with_header(&header, &value).into())
        .collect()
}

/// Elements with timestamps, in the windows of a window function.
pub fn in_windows<T: Element>(
    window_fn: &WindowFn,
    values: impl IntoIterator<Item = (Timestamp, T)>,
) -> Vec<Bytes> {
    let values = values.into_iter().map(|(timestamp, value)| {
        let mut header = Header::global(timestamp);
        if *window_fn != WindowFn::Global {
            header.windows.clear();
            window_fn.assign(timestamp, |window| {
                header.windows.push(&encoded(&window, Nesting::Nested));
            });
        }
        with_header(&header, &value).into()
    });
    values.collect()
}

/// One element behind its header.
pub fn with_header<T: Element>(header: &Header, value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    value.encode(&mut bytes, Nesting::Nested);
    bytes
}

impl<T: Element> Timed<T> {
    /// The element as data streams carry it.
    pub fn to_bytes(&self) -> Bytes {
        with_header(&self.header, &self.value).into()
    }
}
