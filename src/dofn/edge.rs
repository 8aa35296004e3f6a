//! One typed edge of the fused graph: linked once, called once per element.

use crate::element::Header;
use crate::error::Result;

/// What takes the elements of one edge.
///
/// A fused graph is a tree of these: whoever emits owns what it emits to. [`Consumer::start`] and
/// [`Consumer::finish`] run through the tree around each bundle, consumers first and producers first respectively.
pub trait Consumer<T>: Send {
    /// Begins a bundle; what comes after this node has begun when it does.
    ///
    /// # Errors
    /// Fails the bundle.
    fn start(&mut self) -> Result<()>;

    /// Takes one element.
    ///
    /// # Errors
    /// Fails the bundle.
    fn consume(&mut self, header: &Header, value: T) -> Result<()>;

    /// Ends a bundle: emits what was held back, then ends what comes after.
    ///
    /// # Errors
    /// Fails the bundle.
    fn finish(&mut self) -> Result<()>;
}

/// An edge to the one consumer it ends in.
pub type Link<T> = Box<dyn Consumer<T>>;

/// The end of a collection that nobody reads.
pub struct Discard;

impl<T> Consumer<T> for Discard {
    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    fn consume(&mut self, _header: &Header, _value: T) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
