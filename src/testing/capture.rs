//! The end of an edge that remembers what came.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dofn::Consumer;
use crate::element::{Element, Header, Input, Nesting, Timestamp};
use crate::error::Result;
use crate::window::Window;

/// An element and all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timed<T> {
    /// The element.
    pub value: T,
    /// Its timestamp, windows and pane.
    pub header: Header,
}

impl<T> Timed<T> {
    /// The element's event time.
    pub fn timestamp(&self) -> Timestamp {
        self.header.timestamp
    }

    /// The windows that the element is in.
    ///
    /// # Errors
    /// They are not of type `W`.
    pub fn windows<W: Window>(&self) -> Result<Vec<W>> {
        let windows = &self.header.windows;
        let mut input = Input::new(windows.bytes());
        let decoded = (0..windows.count())
            .map(|_| W::decode(&mut input, Nesting::Nested))
            .collect::<Result<_>>()?;
        if !input.is_empty() {
            return Err(crate::Error::decode(format!(
                "{} bytes are left over after the windows: they are not of {}",
                input.remaining(),
                W::coder()
            )));
        }
        Ok(decoded)
    }
}

/// What came out of one output, in order. Clones show the same elements.
pub struct Captured<T>(Arc<Mutex<Vec<Timed<T>>>>);

impl<T> Captured<T> {
    fn lock(&self) -> MutexGuard<'_, Vec<Timed<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many elements came.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none came.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

impl<T: Clone> Captured<T> {
    /// The elements.
    pub fn values(&self) -> Vec<T> {
        self.lock()
            .iter()
            .map(|timed| timed.value.clone())
            .collect()
    }

    /// The elements with their timestamps.
    pub fn timestamped(&self) -> Vec<(Timestamp, T)> {
        self.lock()
            .iter()
            .map(|timed| (timed.timestamp(), timed.value.clone()))
            .collect()
    }

    /// The elements with all that is known of them.
    pub fn elements(&self) -> Vec<Timed<T>> {
        self.lock().clone()
    }
}

impl<T> Clone for Captured<T> {
    fn clone(&self) -> Self {
        Captured(self.0.clone())
    }
}

impl<T: fmt::Debug> fmt::Debug for Captured<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.lock().iter().map(|timed| &timed.value))
            .finish()
    }
}

/// A [`Consumer`] that remembers.
pub struct Capture<T>(Captured<T>);

impl<T: Element> Capture<T> {
    /// The consumer, and what will show the elements that it takes.
    pub fn new() -> (Self, Captured<T>) {
        let captured = Captured(Arc::default());
        (Capture(captured.clone()), captured)
    }
}

impl<T: Element> Consumer<T> for Capture<T> {
    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    fn consume(&mut self, header: &Header, value: T) -> Result<()> {
        self.0.lock().push(Timed {
            value,
            header: header.clone(),
        });
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::{WindowBytes, encoded};
    use crate::window::{GlobalWindow, IntervalWindow};

    #[test]
    fn windows_are_of_one_type() {
        let mut header = Header::global(Timestamp::from_millis(5));
        let window = IntervalWindow::from_millis(0, 10);
        header.windows = WindowBytes::none();
        header.windows.push(&encoded(&window, Nesting::Nested));
        let timed = Timed { value: (), header };
        assert_eq!(
            timed.windows::<IntervalWindow>().expect("intervals"),
            [window]
        );
        let error = timed.windows::<GlobalWindow>().expect_err("intervals");
        assert_eq!(
            error.to_string(),
            "9 bytes are left over after the windows: they are not of global_window"
        );
    }
}
