//! Elements that stand in requests and answers instead of coming through data streams.

use std::collections::VecDeque;

use beam_proto::fnexec::Elements;

use super::delivery::Step;
use super::ledger::Ledger;

/// Takes the input out of the steps of a bundle: one message, with all that would have been sent.
pub(super) fn embed(steps: &mut VecDeque<Step>) -> Elements {
    let mut whole = Elements::default();
    for step in std::mem::replace(steps, [Step::Announce].into()) {
        if let Step::Send(_, elements) = step {
            whole.data.extend(elements.data);
            whole.timers.extend(elements.timers);
        }
    }
    whole
}

impl Ledger {
    /// Checks that output comes on the stream that its bundle has.
    pub(super) fn check_stream(&mut self, id: &str, stream: &str) {
        if let Some(bundle) = self.bundles.get(id)
            && bundle.stream != stream
        {
            let named = &bundle.stream;
            let text = format!("output of {id:?} comes on stream {stream:?}, not {named:?}");
            self.violation(text);
        }
    }

    /// The worker answers a bundle with output in the answer: all of it.
    pub(super) fn takes_embedded(&mut self, id: &str, elements: Elements) {
        if !self.embedded_output {
            self.violation(format!(
                "{id:?} embeds output, which the runner cannot read"
            ));
        }
        let Some(bundle) = self.bundles.get(id) else {
            return;
        };
        let stream = bundle.stream.clone();
        let data = elements.data.iter().map(|data| &data.instruction_id);
        let timers = elements.timers.iter().map(|timers| &timers.instruction_id);
        let others = data.chain(timers).any(|other| other != id);
        if others || !bundle.outputs.is_empty() || !bundle.timers.is_empty() {
            self.violation(format!(
                "{id:?} embeds output, but not the whole of it, or not only its own"
            ));
        }
        self.takes(elements, &stream);
        let bundle = &self.bundles[id];
        let sinks = self.stages.get(&bundle.stage).map(|stage| &stage.sinks);
        let is_closed = |sink| bundle.outputs.get(sink).is_some_and(|o| o.is_closed);
        let are_closed = sinks.is_some_and(|sinks| sinks.keys().all(is_closed));
        if !are_closed || !self.has_all_timers(id) {
            self.violation(format!(
                "{id:?} embeds output, but not all ends of its sinks"
            ));
        }
        if let Some(bundle) = self.bundles.get_mut(id) {
            bundle.is_embedded = true;
        }
    }
}
