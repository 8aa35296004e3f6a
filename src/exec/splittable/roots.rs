//! Elements, or parts of them, as the runner gets them back.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::{Begun, Parts};
use crate::dofn::{Restriction, Splittable, Tracker};
use crate::element::{Coder, Element, Header, Kv, Timestamp};
use crate::error::{Error, Result};
use crate::exec::framing::Framing;

/// An element with work on it, which is or was to be processed: the input of one application of a transform.
#[derive(Debug, Clone, PartialEq)]
pub struct Root {
    /// The index of the transform's node.
    pub node: usize,
    /// The element with its header, as the transform's input collection encodes it.
    pub element: Bytes,
    /// No output for it will be older than this.
    pub watermark: Timestamp,
    /// Whether the work comes to an end by itself.
    pub is_bounded: bool,
}

/// Work that is left for later.
#[derive(Debug, Clone, PartialEq)]
pub struct Residual {
    /// What is left.
    pub root: Root,
    /// How long to wait with it, at least.
    pub delay: Duration,
}

/// Makes roots of parts.
pub(super) struct Roots<F: Splittable> {
    node: usize,
    sizer: Mutex<Sizer<F>>,
}

struct Sizer<F> {
    /// An instance for sizes and trackers, as the one that processes is busy.
    function: F,
    framing: Framing,
}

/// A part of an element: the restriction, what its estimator goes on with, and its watermark.
pub(super) struct Part<F: Splittable> {
    pub(super) begun: Begun<F>,
    pub(super) watermark: Timestamp,
}

impl<F: Splittable> Roots<F> {
    /// Roots for a node whose input has the coder `wire`.
    pub(super) fn new(node: usize, function: F, wire: &Coder) -> Result<Self> {
        Ok(Roots {
            node,
            sizer: Mutex::new(Sizer {
                function,
                framing: Framing::between(&Parts::<F>::coder(), wire)?,
            }),
        })
    }

    /// The root of a part of an element.
    pub(super) fn root(&self, header: &Header, element: &F::In, part: Part<F>) -> Result<Root> {
        let Part {
            begun: Kv(restriction, state),
            watermark,
        } = part;
        let mut sizer = self.sizer.lock().unwrap_or_else(PoisonError::into_inner);
        let Sizer { function, framing } = &mut *sizer;
        let size = size_of(function, element, &restriction)?;
        let tracker = function.tracker(element, restriction.clone())?;
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        let value: Parts<F> = Kv(Kv(element.clone(), Kv(restriction, state)), size);
        framing.write(&value, &mut bytes)?;
        Ok(Root {
            node: self.node,
            element: bytes.into(),
            watermark,
            is_bounded: tracker.is_bounded(),
        })
    }
}

/// The size of a restriction, checked.
pub(super) fn size_of<F: Splittable>(
    function: &F,
    element: &F::In,
    restriction: &Restriction<F>,
) -> Result<f64> {
    let size = function.size(element, restriction)?;
    if size.is_finite() && size >= 0.0 {
        Ok(size)
    } else {
        Err(Error::user(format!(
            "the size of the restriction {restriction:?} is {size}: sizes are finite and not negative"
        )))
    }
}
