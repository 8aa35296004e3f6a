//! A linked plan between a script of input and an outbox that keeps nothing.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use divan::Bencher;
use ferrobeam::Result;
use ferrobeam::dofn::{Clock, Commits, OptionValues, Services, StateKey, StatePort};
use ferrobeam::element::{Element, Page};
use ferrobeam::exec::{Inbound, LinkServices, Outbox, Plan, Registry, link};
use ferrobeam::model::descriptor::PlanSpec;
use ferrobeam::testing::{Descriptor, Endpoints, in_global_window};

use crate::ELEMENTS;

/// Size of a message. Input is one message again and again, which stays in the processor's cache: what is measured is
/// the harness, not the memory.
const CHUNK_BYTES: usize = 64 << 10;

/// Runs a descriptor over a million elements, of which `values` make up a part.
pub(crate) fn bench<T: Element>(
    bencher: Bencher<'_, '_>,
    descriptor: &Descriptor,
    registry: &Registry,
    values: impl IntoIterator<Item = T>,
) {
    let mut plan = linked(descriptor, registry);
    let script = Script::of(values);
    bencher.bench_local(|| {
        plan.reset();
        plan.run(&mut script.clone())
            .expect("a bundle that fits the plan");
    });
}

fn linked(descriptor: &Descriptor, registry: &Registry) -> Plan {
    let endpoints = Endpoints {
        data: vec!["nowhere:1".to_owned()],
        ..Endpoints::default()
    };
    let spec = PlanSpec::try_from(descriptor.build(&endpoints)).expect("a sound descriptor");
    let services = LinkServices {
        functions: Services {
            state: Arc::new(Nothing),
            clock: Arc::new(Nothing),
            options: OptionValues::default(),
            commits: Commits::default(),
        },
        outbox: Arc::new(Nothing),
        samples: None,
        flush_bytes: 1 << 20,
        sends_early: false,
    };
    link(Arc::new(spec), registry, &services).expect("known functions")
}

/// The same messages for each bundle.
#[derive(Clone)]
struct Script {
    chunk: Bytes,
    chunks: usize,
    rest: Bytes,
}

impl Script {
    /// Cuts a million elements into messages. The values are cycled to fill one.
    fn of<T: Element>(values: impl IntoIterator<Item = T>) -> Self {
        let values = in_global_window(values);
        let size: usize = values.iter().map(Bytes::len).sum();
        let rounds = (CHUNK_BYTES / size).max(1);
        let each = rounds * values.len();
        let join = |count: usize| {
            let elements = values.iter().cycle().take(count);
            elements.flatten().copied().collect::<Bytes>()
        };
        Script {
            chunk: join(each),
            chunks: ELEMENTS / each,
            rest: join(ELEMENTS % each),
        }
    }
}

impl Inbound for Script {
    fn next(&mut self) -> Result<(usize, Bytes, bool)> {
        if self.chunks == 0 {
            return Ok((0, self.rest.clone(), true));
        }
        self.chunks -= 1;
        Ok((0, self.chunk.clone(), false))
    }
}

/// Everything that a plan wants from outside, where nothing is outside.
struct Nothing;

impl Outbox for Nothing {
    fn send(&self, _sink: usize, data: Bytes) -> Result<()> {
        black_box(data);
        Ok(())
    }

    fn close(&self, _sink: usize, data: Bytes) -> Result<()> {
        black_box(data);
        Ok(())
    }
}

impl StatePort for Nothing {
    fn get(&self, _key: &StateKey, _continuation: &Bytes) -> Result<Page> {
        Ok(Page {
            data: Bytes::new(),
            continuation: Bytes::new(),
        })
    }

    fn append(&self, _key: &StateKey, _data: Bytes) -> Result<()> {
        Ok(())
    }

    fn clear(&self, _key: &StateKey) -> Result<()> {
        Ok(())
    }
}

impl Clock for Nothing {
    fn now_millis(&self) -> i64 {
        0
    }
}
