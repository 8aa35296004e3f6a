//! All that runner and worker said to each other, checked as it is said.
//!
//! The ledger knows no sockets and no clock: it takes messages in the order in which the runner sees them.

use std::collections::{BTreeMap, BTreeSet};

use beam_proto::fnexec::instruction_request::Request;
use beam_proto::fnexec::instruction_response::Response;
use beam_proto::fnexec::{
    Elements, InstructionRequest, InstructionResponse, LogEntry, ProcessBundleDescriptor,
    ProcessBundleSplitRequest, StateRequest, StateResponse, WorkerStatusResponse,
};
use beam_proto::pipeline::MonitoringInfo;
use bytes::Bytes;

use super::metrics;
use super::splits::{Root, root_faults, split_faults};
use super::stage::Stage;
use super::state::StateStore;
use super::timers::{Family, TimerStore};
use super::transcript::{Transcript, hex};

/// Everything that the runner knows.
pub(super) struct Ledger {
    pub(super) transcript: Transcript,
    /// Rules of the protocol that the worker broke.
    pub(super) violations: Vec<String>,
    pub(super) stages: BTreeMap<String, Stage>,
    pub(super) bundles: BTreeMap<String, Bundle>,
    /// All bundles there ever were.
    announced: BTreeSet<String>,
    asked: BTreeMap<String, Asked>,
    pub(super) logs: Vec<LogEntry>,
    /// What the worker said about itself, by request.
    pub(super) pages: BTreeMap<String, WorkerStatusResponse>,
    pub(super) state: StateStore,
    pub(super) timers: TimerStore,
    /// State requests that wait to be answered, while answers are held back.
    held: Option<Vec<StateRequest>>,
    state_ids: BTreeSet<String>,
    /// What short ids stand for, as far as the runner has asked.
    pub(super) names: BTreeMap<String, MonitoringInfo>,
    short_ids: bool,
    /// Whether output may stand in answers.
    pub(super) embedded_output: bool,
    /// How the worker ended, if it has.
    pub(super) worker_end: Option<Result<(), String>>,
    /// Streams that stand, by service.
    streams: BTreeMap<String, usize>,
    /// How often connections were cut.
    pub(super) cuts: usize,
}

/// One bundle.
#[derive(Default)]
pub(super) struct Bundle {
    pub(super) stage: String,
    /// The name of its data streams.
    pub(super) stream: String,
    pub(super) outputs: BTreeMap<String, Output>,
    pub(super) timers: BTreeMap<Family, Output>,
    /// What it said of timers is in the store.
    pub(super) has_kept_timers: bool,
    /// By source: the first element that is not the bundle's.
    pub(super) stops: BTreeMap<String, i64>,
    /// Work on its elements that it gave back.
    pub(super) residuals: Vec<Root>,
    /// One of its connections was cut, so that its output may be lost.
    pub(super) was_cut: bool,
    /// Its output came in its answer.
    pub(super) is_embedded: bool,
    pub(super) answer: Option<InstructionResponse>,
    counts: BTreeMap<String, u64>,
}

/// What a sink has sent, or a family of timers.
#[derive(Default)]
pub(super) struct Output {
    pub(super) data: Vec<u8>,
    pub(super) messages: usize,
    pub(super) is_closed: bool,
}

impl Bundle {
    fn all_outputs(&self) -> impl Iterator<Item = &Output> {
        self.outputs.values().chain(self.timers.values())
    }
}

/// One instruction.
struct Asked {
    what: What,
    times: usize,
    answers: Vec<InstructionResponse>,
}

enum What {
    Bundle,
    Progress(String),
    Split(ProcessBundleSplitRequest),
    Other,
}

impl Ledger {
    pub(super) fn new(seed: u64, short_ids: bool, embedded_output: bool) -> Self {
        Ledger {
            transcript: Transcript::default(),
            violations: Vec::new(),
            stages: BTreeMap::new(),
            bundles: BTreeMap::new(),
            announced: BTreeSet::new(),
            asked: BTreeMap::new(),
            logs: Vec::new(),
            pages: BTreeMap::new(),
            state: StateStore::new(seed),
            timers: TimerStore::default(),
            held: None,
            state_ids: BTreeSet::new(),
            names: BTreeMap::new(),
            short_ids,
            embedded_output,
            worker_end: None,
            streams: BTreeMap::new(),
            cuts: 0,
        }
    }

    pub(super) fn violation(&mut self, text: String) {
        self.transcript.add(format!("!! {text}"));
        self.violations.push(text);
    }

    /// A stream of a service was opened.
    pub(super) fn opened(&mut self, service: &str) {
        self.transcript.add(format!("← {service} stream is opened"));
        let count = self.streams.entry(service.into()).or_default();
        *count += 1;
        if *count > 1 {
            self.violation(format!("{service} has several streams at once"));
        }
    }

    /// A stream of a service has ended that was opened after so many cuts.
    pub(super) fn ended(&mut self, service: &str, cuts: usize) {
        self.transcript.add(format!("← {service} stream has ended"));
        if cuts == self.cuts
            && let Some(count) = self.streams.get_mut(service)
        {
            *count -= 1;
        }
    }

    /// The worker says how it is.
    pub(super) fn reports(&mut self, page: WorkerStatusResponse) {
        let id = page.id.clone();
        self.transcript.add(format!("← status {id:?}"));
        if self.pages.insert(id.clone(), page).is_some() {
            self.violation(format!("the request for status {id:?} is answered twice"));
        }
    }

    pub(super) fn define(&mut self, descriptor: ProcessBundleDescriptor) {
        self.stages
            .insert(descriptor.id.clone(), Stage::of(descriptor));
    }

    /// The worker asks for a descriptor.
    pub(super) fn fetch(&mut self, id: &str) -> Option<ProcessBundleDescriptor> {
        self.transcript.add(format!("← get descriptor {id:?}"));
        self.stages.get(id).map(|stage| stage.descriptor.clone())
    }

    /// The runner asks for something.
    pub(super) fn asks(&mut self, request: &InstructionRequest) {
        let id = &request.instruction_id;
        let (what, text) = match &request.request {
            Some(Request::ProcessBundle(bundle)) => {
                let stage = bundle.process_bundle_descriptor_id.clone();
                let stream = bundle.data_stream_id.clone();
                let text = format!("process bundle of {stage:?} on stream {stream:?}");
                if let Some(elements) = &bundle.elements {
                    self.sends(elements);
                }
                self.announced.insert(id.clone());
                self.bundles.entry(id.clone()).or_insert_with(|| Bundle {
                    stage,
                    stream,
                    ..Bundle::default()
                });
                (What::Bundle, text)
            }
            Some(Request::ProcessBundleProgress(progress)) => {
                let of = progress.instruction_id.clone();
                let text = format!("progress of {of:?}");
                (What::Progress(of), text)
            }
            Some(Request::ProcessBundleSplit(split)) => {
                let text = format!(
                    "split {:?}: {:?}",
                    split.instruction_id, split.desired_splits
                );
                (What::Split(split.clone()), text)
            }
            Some(other) => {
                let text = format!("{other:?}");
                (What::Other, text.chars().take(80).collect())
            }
            None => (What::Other, "a request of no kind".to_owned()),
        };
        self.transcript.add(format!("→ {id:?} {text}"));
        let asked = self.asked.entry(id.clone()).or_insert(Asked {
            what,
            times: 0,
            answers: Vec::new(),
        });
        asked.times += 1;
    }

    /// The worker answers.
    pub(super) fn answers(&mut self, response: InstructionResponse) {
        let id = response.instruction_id.clone();
        self.transcript.add(match &response.response {
            _ if !response.error.is_empty() => format!("← {id:?} error: {}", response.error),
            Some(Response::ProcessBundle(_)) => format!("← {id:?} processed"),
            Some(Response::ProcessBundleSplit(split)) => {
                format!("← {id:?} split at {:?}", split.channel_splits)
            }
            _ => format!("← {id:?} answer"),
        });
        let Some(asked) = self.asked.get_mut(&id) else {
            return self.violation(format!("an answer to {id:?}, which was never asked"));
        };
        asked.answers.push(response.clone());
        if asked.answers.len() > asked.times {
            let (answers, times) = (asked.answers.len(), asked.times);
            self.violation(format!(
                "{answers} answers to {id:?}, which was asked {times} times"
            ));
            return;
        }
        if let Some(Response::ProcessBundle(answer)) = &response.response
            && let Some(elements) = &answer.elements
        {
            self.takes_embedded(&id, elements.clone());
        }
        let Some(asked) = self.asked.get(&id) else {
            return;
        };
        let faults = match &asked.what {
            What::Bundle => self.bundle_answered(&id, response),
            What::Progress(of) => {
                let of = of.clone();
                self.progress_answered(&of, &response)
            }
            What::Split(split) => {
                let split = split.clone();
                self.split_answered(&split, &response)
            }
            What::Other => Vec::new(),
        };
        for fault in faults {
            self.violation(format!("in the answer to {id:?}: {fault}"));
        }
    }

    fn bundle_answered(&mut self, id: &str, response: InstructionResponse) -> Vec<String> {
        let asked_twice = self.asked.get(id).is_some_and(|asked| asked.times > 1);
        let Some(bundle) = self.bundles.get_mut(id) else {
            return Vec::new();
        };
        // An id that is used twice gets an error of its own, which says nothing of the bundle.
        if asked_twice && response.error.contains("twice") {
            return Vec::new();
        }
        if bundle.answer.is_some() {
            return vec!["the bundle was answered before".into()];
        }
        bundle.answer = Some(response.clone());
        if !response.error.is_empty() {
            return Vec::new();
        }
        let Some(Response::ProcessBundle(answer)) = &response.response else {
            return vec!["the answer to a bundle is of another kind".into()];
        };
        let mut faults = metrics::faults(
            &answer.monitoring_infos,
            &answer.monitoring_data,
            &self.names,
            self.short_ids,
        );
        let finalizes = self
            .stages
            .get(&bundle.stage)
            .is_some_and(|stage| stage.finalizes);
        if answer.requires_finalization && !finalizes {
            faults.push("there is finalization that nothing asked for".into());
        }
        for left in &answer.residual_roots {
            let application = left.application.clone().unwrap_or_default();
            if let Some(stage) = self.stages.get(&bundle.stage) {
                faults.extend(root_faults(stage, &application));
            }
            bundle.residuals.push(Root::delayed(left.clone()));
        }
        faults
    }

    fn progress_answered(&mut self, of: &str, response: &InstructionResponse) -> Vec<String> {
        let has_failed = |bundle: &Bundle| {
            let answer = bundle.answer.as_ref();
            answer.is_none_or(|answer| !answer.error.is_empty())
        };
        if !response.error.is_empty() {
            // The answer that says that the bundle failed may be on its way.
            return match self.bundles.get(of) {
                Some(bundle) if has_failed(bundle) => Vec::new(),
                _ => vec![format!(
                    "progress of {of:?} is an error: {}",
                    response.error
                )],
            };
        }
        let Some(Response::ProcessBundleProgress(progress)) = &response.response else {
            return vec!["the answer to progress is of another kind".into()];
        };
        let mut faults = metrics::faults(
            &progress.monitoring_infos,
            &progress.monitoring_data,
            &self.names,
            self.short_ids,
        );
        let Some(bundle) = self.bundles.get_mut(of) else {
            return faults;
        };
        for info in &progress.monitoring_infos {
            if info.urn != "beam:metric:element_count:v1" {
                continue;
            }
            let collection = info.labels.get("PCOLLECTION").cloned().unwrap_or_default();
            let count = crate::element::Input::new(&info.payload)
                .varint()
                .unwrap_or(0);
            let before = bundle.counts.insert(collection.clone(), count).unwrap_or(0);
            if count < before {
                faults.push(format!(
                    "{collection:?} went from {before} to {count} elements"
                ));
            }
        }
        faults
    }

    fn split_answered(
        &mut self,
        request: &ProcessBundleSplitRequest,
        response: &InstructionResponse,
    ) -> Vec<String> {
        let bundle = self.bundles.get_mut(&request.instruction_id);
        if !response.error.is_empty() {
            return match bundle {
                Some(bundle) if bundle.answer.as_ref().is_none_or(|a| !a.error.is_empty()) => {
                    Vec::new()
                }
                _ => vec![format!("a split is an error: {}", response.error)],
            };
        }
        let Some(Response::ProcessBundleSplit(split)) = &response.response else {
            return vec!["the answer to a split is of another kind".into()];
        };
        match bundle {
            Some(bundle) => split_faults(self.stages.get(&bundle.stage), request, split, bundle),
            None if split.channel_splits.is_empty() => Vec::new(),
            None => vec!["a bundle was split that does not exist".into()],
        }
    }

    /// The answer to an instruction, if it is there; the latest where the id was used twice.
    pub(super) fn answer(&self, id: &str) -> Option<&InstructionResponse> {
        let asked = self.asked.get(id)?;
        asked.answers.get(asked.times.checked_sub(1)?)
    }

    /// The runner sends input.
    pub(super) fn sends(&mut self, elements: &Elements) {
        for data in &elements.data {
            let (id, source) = (&data.instruction_id, &data.transform_id);
            let end = if data.is_last { ", the last" } else { "" };
            let text = hex(&data.data);
            self.transcript
                .add(format!("→ {id:?} data for {source:?}: {text}{end}"));
        }
        for timers in &elements.timers {
            let (id, family) = (&timers.instruction_id, &timers.timer_family_id);
            let end = if timers.is_last { ", the last" } else { "" };
            let text = hex(&timers.timers);
            self.transcript
                .add(format!("→ {id:?} timers for {family:?}: {text}{end}"));
        }
    }

    /// The worker sends output through a data stream of this name.
    pub(super) fn takes(&mut self, elements: Elements, stream: &str) {
        for timers in &elements.timers {
            self.check_stream(&timers.instruction_id, stream);
            self.takes_timers(timers);
        }
        for data in elements.data {
            self.check_stream(&data.instruction_id, stream);
            let fault = self.output(
                &data.instruction_id,
                &data.transform_id,
                &data.data,
                data.is_last,
            );
            if let Err(fault) = fault {
                let (id, sink) = (&data.instruction_id, &data.transform_id);
                self.violation(format!("in the output of {id:?} at {sink:?}: {fault}"));
            }
        }
    }

    fn output(&mut self, id: &str, sink: &str, data: &Bytes, is_last: bool) -> Result<(), String> {
        let end = if is_last { ", the last" } else { "" };
        self.transcript
            .add(format!("← {id:?} data of {sink:?}: {}{end}", hex(data)));
        let bundle = self.bundles.get_mut(id).ok_or("there is no such bundle")?;
        let stage = self.stages.get(&bundle.stage);
        let shape = stage
            .and_then(|stage| stage.sinks.get(sink))
            .ok_or("the bundle has no such sink")?;
        let failed = bundle.answer.as_ref().is_some_and(|a| !a.error.is_empty());
        if is_last && failed {
            return Err("the bundle has failed, but the sink is ended".into());
        }
        let output = bundle.outputs.entry(sink.to_owned()).or_default();
        if output.is_closed {
            return Err("it comes after its end".into());
        }
        output.is_closed = is_last;
        output.data.extend_from_slice(data);
        output.messages += usize::from(!data.is_empty());
        match shape {
            Some(shape) => shape.check(data).map(drop),
            None => Ok(()),
        }
    }

    /// The worker reads state. Yields the answer, unless answers are held back.
    pub(super) fn reads(&mut self, request: StateRequest) -> Option<StateResponse> {
        let id = &request.instruction_id;
        self.transcript.add(format!(
            "← {id:?} state {}: {:?}",
            request.id,
            request
                .state_key
                .as_ref()
                .and_then(|key| key.r#type.as_ref())
        ));
        let lives = |bundle: &Bundle| bundle.answer.is_none();
        if !self.bundles.get(id).is_some_and(lives) {
            self.violation(format!("state is read for {id:?}, which does not run"));
        }
        if !self.state_ids.insert(request.id.clone()) {
            self.violation(format!("two state requests have the id {:?}", request.id));
        }
        match &mut self.held {
            Some(held) => {
                held.push(request);
                None
            }
            None => Some(self.state.answer(&request)),
        }
    }

    /// Forgets the ids of state requests: they are unique on one stream only.
    pub(super) fn state_opened(&mut self) {
        self.state_ids.clear();
    }

    /// Holds answers to state requests back from now on.
    pub(super) fn hold_state(&mut self) {
        self.held.get_or_insert_default();
    }

    /// How many state requests are held back.
    pub(super) fn held(&self) -> usize {
        self.held.as_ref().map_or(0, Vec::len)
    }

    /// Answers what was held back, the last first.
    pub(super) fn release_state(&mut self) -> Vec<StateResponse> {
        let held = self.held.take().unwrap_or_default();
        held.iter().rev().map(|r| self.state.answer(r)).collect()
    }

    /// The worker logs.
    pub(super) fn logs(&mut self, entries: Vec<LogEntry>) {
        for entry in &entries {
            let (id, text) = (&entry.instruction_id, &entry.message);
            let text: String = text.chars().take(200).collect();
            self.transcript.add(format!("← {id:?} log: {text}"));
            if !id.is_empty() && !self.announced.contains(id) {
                self.violation(format!("a log entry names {id:?}, which is no bundle"));
            }
        }
        self.logs.extend(entries);
    }

    /// Connections of services were cut. Bundles that write to one of these data services may lose output.
    pub(super) fn cut(&mut self, what: &str, data: &[String]) {
        self.transcript
            .add(format!("→ the connection of {what} is cut"));
        self.cuts += 1;
        self.streams.retain(|service, _| service == "control");
        for bundle in self.bundles.values_mut() {
            let is_whole =
                bundle.answer.is_some() && bundle.all_outputs().all(|output| output.is_closed);
            let stage = self.stages.get(&bundle.stage);
            let is_hit = stage.is_some_and(|stage| stage.uses_any(data));
            bundle.was_cut |= is_hit && !is_whole;
        }
    }

    /// Whether everything that belongs to a bundle is there: its answer, and if that is good, the ends of its sinks.
    pub(super) fn is_complete(&self, id: &str) -> bool {
        let Some(bundle) = self.bundles.get(id) else {
            return false;
        };
        let Some(answer) = &bundle.answer else {
            return false;
        };
        let sinks = self.stages.get(&bundle.stage).map(|stage| &stage.sinks);
        let is_closed = |sink| bundle.outputs.get(sink).is_some_and(|o| o.is_closed);
        !answer.error.is_empty()
            || bundle.was_cut
            || sinks.is_some_and(|sinks| sinks.keys().all(is_closed)) && self.has_all_timers(id)
    }

    /// Forgets bundles that have ended, after the last check of them.
    pub(super) fn forget(&mut self) {
        self.settle();
        self.bundles.retain(|_, bundle| bundle.answer.is_none());
        self.asked
            .retain(|_, asked| asked.answers.len() < asked.times);
        self.logs.clear();
    }

    /// Checks what can only be checked at the end.
    pub(super) fn settle(&mut self) {
        let mut faults = Vec::new();
        for (id, bundle) in &self.bundles {
            let Some(answer) = &bundle.answer else {
                continue;
            };
            if !answer.error.is_empty() {
                if !bundle.was_cut && bundle.all_outputs().any(|output| output.is_closed) {
                    faults.push(format!(
                        "{id:?} has failed, but some of its output was ended"
                    ));
                }
            } else if !self.is_complete(id) {
                faults.push(format!(
                    "{id:?} has succeeded, but not all its sinks and timers were ended"
                ));
            }
        }
        for fault in faults {
            self.violation(fault);
        }
    }
}
