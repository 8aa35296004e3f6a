//! One bundle: filled, sent, asked about, split, and waited for.

use std::collections::BTreeMap;
use std::time::Duration;

use beam_proto::fnexec::elements::{Data, Timers};
use beam_proto::fnexec::instruction_request::Request;
use beam_proto::fnexec::instruction_response::Response;
use beam_proto::fnexec::process_bundle_split_request::DesiredSplit;
use beam_proto::fnexec::{
    Elements, FinalizeBundleRequest, MonitoringInfosMetadataRequest, ProcessBundleProgressRequest,
    ProcessBundleRequest, ProcessBundleSplitRequest,
};
use beam_proto::pipeline::MonitoringInfo;
use bytes::Bytes;

use super::timers::Family;
use super::{BundleOutcome, Chaos, FakeRunner, Metrics, Split};
use crate::testing::Descriptor;

/// A bundle that is to be run.
#[must_use = "a bundle must be run"]
#[derive(Clone)]
pub struct Bundle<'a> {
    pub(super) runner: &'a FakeRunner,
    pub(super) stage: Descriptor,
    /// Encoded elements by source.
    pub(super) inputs: BTreeMap<String, Vec<Bytes>>,
    /// Encoded timers that have fired, by family.
    pub(super) timers: BTreeMap<Family, Vec<Bytes>>,
    pub(super) retries: usize,
    /// The name of its data streams.
    pub(super) stream: String,
    /// Whether the input stands in the request.
    pub(super) embeds: bool,
}

impl<'a> Bundle<'a> {
    pub(super) fn new(runner: &'a FakeRunner, stage: &Descriptor) -> Self {
        let inputs = stage.sources().map(|id| (id.to_owned(), Vec::new()));
        let families = stage.timer_families();
        let timers = families.map(|(id, family, _)| ((id.into(), family.into()), Vec::new()));
        Bundle {
            runner,
            inputs: inputs.collect(),
            timers: timers.collect(),
            stage: stage.clone(),
            retries: 0,
            stream: String::new(),
            embeds: false,
        }
    }

    /// Has it use data streams of this name.
    pub fn on_stream(mut self, name: &str) -> Self {
        self.stream = name.into();
        self
    }

    /// Puts its input in the request instead of on data streams.
    pub fn embedded(mut self) -> Self {
        self.embeds = true;
        self
    }

    /// Adds encoded elements to the input of a source.
    ///
    /// # Panics
    /// The stage has no such source.
    #[track_caller]
    pub fn input<E: Into<Bytes>>(
        mut self,
        source: &str,
        elements: impl IntoIterator<Item = E>,
    ) -> Self {
        let Some(input) = self.inputs.get_mut(source) else {
            panic!("{:?} has no source {source:?}", self.stage.id());
        };
        input.extend(elements.into_iter().map(Into::into));
        self
    }

    /// Runs the bundle again when it fails, as often as said.
    pub fn retries(mut self, times: usize) -> Self {
        self.retries = times;
        self
    }

    /// Sends the bundle with its input, cut into messages anywhere, and waits for its end.
    ///
    /// # Panics
    /// The worker breaks a rule, or takes too long.
    #[track_caller]
    pub fn run(self) -> BundleOutcome {
        let runner = self.runner;
        let mut outcomes = runner.run_all(vec![self], Chaos::default());
        outcomes.swap_remove(0)
    }

    /// Announces the bundle to the worker and nothing more: input is sent by hand.
    ///
    /// # Panics
    /// The worker does not come.
    #[track_caller]
    pub fn start(self) -> RunningBundle<'a> {
        let id = self.runner.fresh_id();
        self.runner
            .announce(&id, self.stage.id(), &self.stream, None);
        RunningBundle {
            runner: self.runner,
            stage: self.stage,
            stream: self.stream,
            id,
        }
    }
}

/// A bundle that the worker knows of.
pub struct RunningBundle<'a> {
    runner: &'a FakeRunner,
    stage: Descriptor,
    stream: String,
    id: String,
}

/// An answer to a request for progress.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The metrics so far.
    pub metrics: Metrics,
    /// Whether the bundle works on input that it has, instead of waiting for more; `None` if it does not run.
    pub consuming: Option<bool>,
}

impl RunningBundle<'_> {
    /// Its instruction id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Sends input of a source.
    ///
    /// # Panics
    /// The worker does not take it in time.
    #[track_caller]
    pub fn send(&self, source: &str, data: impl Into<Bytes>) {
        self.entry(source, data.into(), false);
    }

    /// Ends the input of a source.
    ///
    /// # Panics
    /// The worker does not take it in time.
    #[track_caller]
    pub fn end(&self, source: &str) {
        self.entry(source, Bytes::new(), true);
    }

    /// Sends timers of a family that have fired.
    ///
    /// # Panics
    /// The worker does not take them in time.
    #[track_caller]
    pub fn send_timers(&self, transform: &str, family: &str, timers: impl Into<Bytes>) {
        self.timer_entry(transform, family, timers.into(), false);
    }

    /// Ends the input of all sources, and all families of timers.
    ///
    /// # Panics
    /// The worker does not take it in time.
    #[track_caller]
    pub fn end_all(&self) {
        self.stage.sources().for_each(|source| self.end(source));
        for (transform, family, _) in self.stage.timer_families() {
            self.timer_entry(transform, family, Bytes::new(), true);
        }
    }

    #[track_caller]
    fn timer_entry(&self, transform: &str, family: &str, timers: Bytes, is_last: bool) {
        let timers = Timers {
            instruction_id: self.id.clone(),
            transform_id: transform.into(),
            timer_family_id: family.into(),
            timers,
            is_last,
        };
        let elements = Elements {
            timers: vec![timers],
            ..Elements::default()
        };
        self.runner
            .send_elements_on(self.stage.timer_service(), &self.stream, elements);
    }

    #[track_caller]
    fn entry(&self, source: &str, data: Bytes, is_last: bool) {
        let Some(service) = self.stage.service_of(source) else {
            panic!("{:?} has no source {source:?}", self.stage.id());
        };
        let data = Data {
            instruction_id: self.id.clone(),
            transform_id: source.into(),
            data,
            is_last,
        };
        let elements = Elements {
            data: vec![data],
            ..Elements::default()
        };
        self.runner
            .send_elements_on(service, &self.stream, elements);
    }

    /// Asks for progress.
    ///
    /// # Panics
    /// The answer does not come in time, or is an error.
    #[track_caller]
    pub fn progress(&self) -> Progress {
        self.runner.progress(&self.id)
    }

    /// Asks for progress until an answer is as wanted.
    ///
    /// # Panics
    /// None is in time.
    #[track_caller]
    pub fn expect_progress(&self, wanted: impl Fn(&Progress) -> bool) -> Progress {
        let deadline = std::time::Instant::now() + self.runner.hub.time_limit;
        loop {
            let progress = self.progress();
            if wanted(&progress) {
                return progress;
            }
            if std::time::Instant::now() > deadline {
                self.runner
                    .hub
                    .fail(&format!("progress stays at {progress:?}"));
            }
        }
    }

    /// Asks to split the input of a source. Yields the first element that the bundle will not process, if it was split.
    ///
    /// # Panics
    /// The answer does not come in time, or is an error.
    #[track_caller]
    pub fn split(
        &self,
        source: &str,
        fraction: f64,
        estimate: i64,
        allowed: &[i64],
    ) -> Option<i64> {
        let split = self.split_whole(source, fraction, estimate, allowed);
        split.channel.map(|(_, first)| first)
    }

    /// As [`split`](Self::split), with all that the worker says of it.
    ///
    /// # Panics
    /// As [`split`](Self::split).
    #[track_caller]
    pub fn split_whole(
        &self,
        source: &str,
        fraction: f64,
        estimate: i64,
        allowed: &[i64],
    ) -> Split {
        let desired = DesiredSplit {
            fraction_of_remainder: fraction,
            estimated_input_elements: estimate,
            allowed_split_points: allowed.to_vec(),
        };
        let answer = self
            .runner
            .ask(Request::ProcessBundleSplit(ProcessBundleSplitRequest {
                instruction_id: self.id.clone(),
                desired_splits: [(source.to_owned(), desired)].into(),
            }));
        match answer.response {
            Some(Response::ProcessBundleSplit(split)) => Split::of(split, source),
            other => panic!("a split was answered by {other:?}, {:?}", answer.error),
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It does not end in time, or the worker breaks a rule.
    #[track_caller]
    pub fn wait(self) -> BundleOutcome {
        self.runner.outcome(&self.id, &self.stage)
    }
}

impl FakeRunner {
    #[track_caller]
    pub(super) fn announce(&self, id: &str, stage: &str, stream: &str, elements: Option<Elements>) {
        let terms = self.terms().clone();
        let request = ProcessBundleRequest {
            process_bundle_descriptor_id: stage.into(),
            data_stream_id: stream.into(),
            elements,
            cache_tokens: terms.tokens,
            has_no_state: terms.has_no_state,
            only_bundle_for_keys: terms.only_bundle_for_keys,
        };
        self.instruction(id, Request::ProcessBundle(request));
    }

    /// Says that a bundle is committed. Yields the error that is answered, if one is.
    ///
    /// # Panics
    /// The answer does not come in time.
    #[track_caller]
    pub fn finalize(&self, bundle: &str) -> Result<(), String> {
        let answer = self.ask(Request::FinalizeBundle(FinalizeBundleRequest {
            instruction_id: bundle.into(),
        }));
        match answer.response {
            _ if !answer.error.is_empty() => Err(answer.error),
            Some(Response::FinalizeBundle(_)) => Ok(()),
            other => panic!("a finalization was answered by {other:?}"),
        }
    }

    /// Asks for progress of any bundle, even one that the worker does not know.
    ///
    /// # Panics
    /// The answer does not come in time, or is an error.
    #[track_caller]
    pub fn progress(&self, bundle: &str) -> Progress {
        let request = ProcessBundleProgressRequest {
            instruction_id: bundle.into(),
        };
        let answer = self.ask(Request::ProcessBundleProgress(request));
        match answer.response {
            Some(Response::ProcessBundleProgress(progress)) => Progress {
                metrics: self.metrics(progress.monitoring_infos, progress.monitoring_data),
                consuming: progress.consuming_received_data,
            },
            other => panic!("progress was answered by {other:?}, {:?}", answer.error),
        }
    }

    /// Waits for the end of a bundle.
    #[track_caller]
    pub(super) fn outcome(&self, id: &str, stage: &Descriptor) -> BundleOutcome {
        let answer = self
            .hub
            .wait(&format!("the end of bundle {id:?}"), |ledger| {
                let bundle = ledger.bundles.get(id)?;
                ledger.is_complete(id).then(|| bundle.answer.clone())?
            });
        let mut error = Some(answer.error).filter(|error| !error.is_empty());
        let mut requires_finalization = false;
        let metrics = match answer.response {
            Some(Response::ProcessBundle(processed)) => {
                requires_finalization = processed.requires_finalization;
                self.metrics(processed.monitoring_infos, processed.monitoring_data)
            }
            _ => Metrics::default(),
        };
        let (outputs, splits, residuals, is_whole, is_embedded) = self.hub.with(|ledger| {
            let Some(bundle) = ledger.bundles.get(id) else {
                return Default::default();
            };
            let outputs = bundle.outputs.iter();
            let outputs: BTreeMap<String, Vec<u8>> = outputs
                .map(|(sink, output)| (sink.clone(), output.data.clone()))
                .collect();
            let closed = bundle.outputs.values().filter(|o| o.is_closed).count();
            let is_whole = closed == stage.sinks().count() && ledger.has_all_timers(id);
            let residuals = bundle.residuals.clone();
            let splits = bundle.stops.clone();
            (outputs, splits, residuals, is_whole, bundle.is_embedded)
        });
        if error.is_none() && !is_whole {
            error = Some("the runner cut the connection before all output had come".into());
        }
        let timers = self.hub.with(|ledger| ledger.take_timers(id));
        let timer_coders = stage
            .timer_families()
            .map(|(id, family, coder)| ((id.to_owned(), family.to_owned()), coder.clone()));
        let coders = stage
            .sinks()
            .map(|(id, coder)| (id.to_owned(), coder.clone()));
        BundleOutcome {
            id: id.into(),
            error,
            metrics,
            splits,
            residuals,
            bundles: 1,
            waited: Duration::ZERO,
            requires_finalization,
            is_embedded,
            outputs,
            timers,
            coders: coders.collect(),
            timer_coders: timer_coders.collect(),
        }
    }

    /// Metrics in full, whatever form they came in.
    fn metrics(&self, infos: Vec<MonitoringInfo>, data: BTreeMap<String, Bytes>) -> Metrics {
        if !infos.is_empty() || data.is_empty() {
            return Metrics::new(infos);
        }
        let unknown: Vec<String> = self.hub.with(|ledger| {
            let ids = data.keys().filter(|id| !ledger.names.contains_key(*id));
            ids.cloned().collect()
        });
        if !unknown.is_empty() {
            let request = MonitoringInfosMetadataRequest {
                monitoring_info_id: unknown,
            };
            let answer = self.ask(Request::MonitoringInfos(request));
            if let Some(Response::MonitoringInfos(known)) = answer.response {
                self.hub
                    .with(|ledger| ledger.names.extend(known.monitoring_info));
            }
        }
        let infos = self.hub.with(|ledger| {
            let infos = data.into_iter().map(|(id, payload)| {
                let name = ledger.names.get(&id).cloned();
                if name.is_none() {
                    ledger.violation(format!("nobody knows what the short id {id:?} stands for"));
                }
                MonitoringInfo {
                    payload,
                    ..name.unwrap_or_default()
                }
            });
            infos.collect()
        });
        Metrics::new(infos)
    }
}
