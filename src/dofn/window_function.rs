//! Window functions of one's own.

use crate::element::{Element, Timestamp};
use crate::error::{Error, Result};
use crate::window::Window;

/// A merged window with those that it replaces.
pub type MergedWindow<W> = (W, Vec<W>);

/// A window function of one's own: which windows an element lies in, and how windows merge.
///
/// Its windows are [`IntervalWindow`](crate::window::IntervalWindow)s, or have a shape of their own within
/// [`CustomWindow`](crate::window::CustomWindow). A runner must leave it to the worker to assign and to merge them; the
/// conformance table says which runners do.
///
/// ```
/// use ferrobeam::prelude::*;
/// use ferrobeam::window::IntervalWindow;
///
/// /// Long texts may wait for longer.
/// #[derive(serde::Serialize, serde::Deserialize, WindowFunction)]
/// #[beam(name = "text.BySize/v1")]
/// struct BySize {
///     millis_per_byte: i64,
/// }
///
/// impl WindowFunction for BySize {
///     type In = String;
///     type Window = IntervalWindow;
///
///     fn assign(&self, text: &String, at: Timestamp, windows: &mut Vec<IntervalWindow>) -> Result<()> {
///         let size = (self.millis_per_byte * text.len() as i64).max(1);
///         let start = at.millis() - at.millis().rem_euclid(size);
///         windows.push(IntervalWindow::from_millis(start, start + size));
///         Ok(())
///     }
/// }
///
/// let mut windows = Vec::new();
/// let by_size = BySize { millis_per_byte: 100 };
/// by_size.assign(&"tea".to_owned(), Timestamp::from_millis(-1), &mut windows)?;
/// assert_eq!(windows, [IntervalWindow::from_millis(-300, 0)]);
/// # Ok::<(), ferrobeam::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a window function",
    label = "this type assigns no windows",
    note = "`#[derive(WindowFunction)]` only names it; write `impl WindowFunction` to say what it does"
)]
pub trait WindowFunction: Sized + Send + Sync + 'static {
    /// The elements that it looks at. [`Raw`](crate::element::Raw) for a function that looks at timestamps only, which
    /// then works for all collections.
    type In: Element;
    /// The windows.
    type Window: Window;

    /// Whether windows merge when values are grouped.
    const MERGES: bool = false;

    /// Appends the windows that an element lies in. One without windows is dropped.
    ///
    /// # Errors
    /// Fails the bundle.
    fn assign(
        &self,
        element: &Self::In,
        timestamp: Timestamp,
        windows: &mut Vec<Self::Window>,
    ) -> Result<()>;

    /// Merges the windows of one key: each merged window with those that it replaces. Windows that are left out stay as
    /// they are. Only for functions that [merge](Self::MERGES).
    ///
    /// # Errors
    /// Fails the bundle.
    fn merge(&self, windows: Vec<Self::Window>) -> Result<Vec<MergedWindow<Self::Window>>> {
        let _ = windows;
        Ok(Vec::new())
    }

    /// The window of a side input windowed by this function that belongs to a window of the main input which ends at
    /// `end`.
    ///
    /// # Errors
    /// There is none. This is the default.
    fn side_window(&self, end: Timestamp) -> Result<Self::Window> {
        let _ = end;
        Err(Error::descriptor(
            "the window function of a side input does not say which window belongs to one of the main input; write \
             `WindowFunction::side_window`, or window the side input otherwise",
        ))
    }
}
