//! What the runner must know of a descriptor to check its output.

use std::collections::BTreeMap;

use beam_proto::fnexec::{ProcessBundleDescriptor, RemoteGrpcPort};
use prost::Message;

use crate::element::coder::urn;
use crate::element::{Input, Layout, Nesting};
use crate::model::coders;

/// A descriptor with the shapes of its output.
pub(super) struct Stage {
    pub(super) descriptor: ProcessBundleDescriptor,
    /// By sink. There is none for coders that the runner does not know.
    pub(super) sinks: BTreeMap<String, Option<Shape>>,
}

/// The shape of the elements of a sink.
pub(super) struct Shape {
    layout: Layout,
    /// Whether there are no headers, so that an element may have no bytes: then one zero byte stands for it.
    is_bare: bool,
}

impl Stage {
    pub(super) fn of(descriptor: ProcessBundleDescriptor) -> Self {
        let sinks = descriptor.transforms.iter().filter_map(|(id, transform)| {
            let spec = transform.spec.as_ref()?;
            (spec.urn == "beam:runner:sink:v1").then(|| {
                let port = RemoteGrpcPort::decode(&spec.payload[..]).unwrap_or_default();
                (id.clone(), Shape::of(&descriptor, &port.coder_id))
            })
        });
        Stage {
            sinks: sinks.collect(),
            descriptor,
        }
    }
}

impl Shape {
    fn of(descriptor: &ProcessBundleDescriptor, coder: &str) -> Option<Self> {
        let coder = coders::resolve(&descriptor.coders, coder).ok()?;
        Some(Shape {
            layout: Layout::of(&coder).ok()?,
            is_bare: coder.is(urn::PARAM_WINDOWED_VALUE),
        })
    }

    /// How many elements some bytes are.
    ///
    /// # Errors
    /// They are not whole elements.
    pub(super) fn check(&self, data: &[u8]) -> Result<usize, String> {
        let mut input = Input::new(data);
        let mut count = 0;
        while !input.is_empty() {
            let before = input.remaining();
            self.layout
                .skip(&mut input, Nesting::Nested)
                .map_err(|e| format!("the message does not hold whole elements: {e}"))?;
            if input.remaining() == before {
                if !self.is_bare {
                    return Err("an element has no bytes".into());
                }
                if !matches!(input.byte(), Ok(0)) {
                    return Err("an element without bytes must be sent as one zero byte".into());
                }
            }
            count += 1;
        }
        Ok(count)
    }
}
