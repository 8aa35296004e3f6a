//! Collections whose elements come as a script says.

use std::collections::BTreeMap;
use std::time::Duration;

use beam_proto::pipeline::test_stream_payload::event::{self, Event as Step};
use beam_proto::pipeline::test_stream_payload::{Event, TimestampedElement};
use beam_proto::pipeline::{self as proto, FunctionSpec, PTransform, TestStreamPayload};
use beam_proto::urns::transforms::TEST_STREAM;
use bytes::Bytes;
use prost::Message;

use super::graph::Like;
use super::group::OUTPUT;
use super::{PCollection, Pipeline};
use crate::element::{Element, Nesting, Timestamp, encoded};
use crate::window::WindowFn;

/// A script of what happens at an unbounded source, for tests of what depends on time
/// (`beam:transform:teststream:v1`). Not every runner can play one.
///
/// ```
/// use ferrobeam::pipeline::{Pipeline, TestStream};
/// use ferrobeam::Timestamp;
///
/// let at = Timestamp::from_millis;
/// let pipeline = Pipeline::new();
/// let script = TestStream::new()
///     .elements([(at(1), 1i64), (at(2), 2)])
///     .watermark(at(10))
///     .elements([(at(3), 3)]);
/// let numbers = pipeline.test_stream("Script", script);
/// # let _ = numbers;
/// # pipeline.check()?;
/// # Ok::<(), ferrobeam::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TestStream<T> {
    events: Vec<Event>,
    encode: fn(&T) -> Vec<u8>,
}

impl<T: Element> Default for TestStream<T> {
    fn default() -> Self {
        TestStream::new()
    }
}

impl<T: Element> TestStream<T> {
    /// A script of nothing: the watermark is at the beginning of time.
    pub fn new() -> Self {
        TestStream {
            events: Vec::new(),
            encode: |value| encoded(value, Nesting::Outer),
        }
    }

    fn then(mut self, step: Step) -> Self {
        self.events.push(Event { event: Some(step) });
        self
    }

    /// Then these elements come, all at once.
    #[must_use]
    pub fn elements(self, elements: impl IntoIterator<Item = (Timestamp, T)>) -> Self {
        let encode = self.encode;
        let elements = elements.into_iter().map(|(at, value)| TimestampedElement {
            encoded_element: Bytes::from(encode(&value)),
            timestamp: at.millis(),
        });
        let elements = elements.collect();
        self.then(Step::ElementEvent(event::AddElements {
            elements,
            tag: String::new(),
        }))
    }

    /// Then the watermark moves on: no element before this time is on time any more.
    #[must_use]
    pub fn watermark(self, to: Timestamp) -> Self {
        self.then(Step::WatermarkEvent(event::AdvanceWatermark {
            new_watermark: to.millis(),
            tag: String::new(),
        }))
    }

    /// Then time passes on the runner's clock.
    #[must_use]
    pub fn wait(self, time: Duration) -> Self {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.then(Step::ProcessingTimeEvent(event::AdvanceProcessingTime {
            advance_duration: millis,
        }))
    }
}

impl Pipeline {
    /// A collection whose elements come as a script says. After it the watermark moves to the end of time.
    pub fn test_stream<T: Element>(&self, label: &str, script: TestStream<T>) -> PCollection<T> {
        let events = script.watermark(Timestamp::MAX).events;
        let id = self.graph(|graph| {
            let placement = graph.begin(label, TEST_STREAM);
            let coder_id = graph.components.coder(&T::coder());
            let like = Like {
                coder_id: coder_id.clone(),
                is_bounded: proto::is_bounded::Enum::Unbounded as i32,
                windowing_strategy_id: graph.components.windowing(&WindowFn::Global),
            };
            let output = graph.output(&placement, OUTPUT, like);
            let payload = TestStreamPayload {
                coder_id,
                events,
                endpoint: None,
            };
            let transform = PTransform {
                spec: Some(FunctionSpec {
                    urn: TEST_STREAM.into(),
                    payload: Bytes::from(payload.encode_to_vec()),
                }),
                outputs: BTreeMap::from([(OUTPUT.into(), output.clone())]),
                ..PTransform::default()
            };
            graph.place(placement, transform);
            output
        });
        self.handle(id)
    }
}
