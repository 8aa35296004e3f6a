//! Where a function's ports end: in a pipeline under construction, or in a test.

use super::View;
use crate::element::Element;

/// A place that a function is put in.
///
/// The derive of [`Ports`](super::Ports) makes a struct of outputs and one of side inputs that are generic in the
/// site: in a pipeline their fields are collections and views, in a test they are vectors and plain values.
pub trait Site {
    /// What an output of type `T` is here.
    type Collection<T: Element>;
    /// What a side input seen as `V` is here.
    type View<V: View>;

    /// The output `tag`.
    fn output<T: Element>(&mut self, tag: &'static str) -> Self::Collection<T>;

    /// Takes the side input `tag`.
    fn side<V: View>(&mut self, tag: &'static str, view: Self::View<V>);
}
