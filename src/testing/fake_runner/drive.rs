//! Runs several bundles at once, with all that a runner may do to them meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use beam_proto::fnexec::instruction_request::Request;
use beam_proto::fnexec::process_bundle_split_request::DesiredSplit;
use beam_proto::fnexec::{
    Elements, FinalizeBundleRequest, HarnessMonitoringInfosRequest, MonitoringInfosMetadataRequest,
    ProcessBundleProgressRequest, ProcessBundleSplitRequest, SampleDataRequest,
};
use bytes::Bytes;

use super::delivery::{Step, Stream, steps};
use super::embedding::embed;
use super::timers::Family;
use super::{Bundle, BundleOutcome, FakeRunner, Random, Root};
use crate::testing::Descriptor;

/// What a runner does to bundles besides running them, at moments that the seed chooses.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chaos {
    /// Asks for progress.
    pub progress: bool,
    /// Splits bundles, and runs what they give back as bundles of their own.
    pub splits: bool,
    /// Uses ids twice, asks about bundles that do not exist, sends instructions that nobody knows, and sends more input
    /// to bundles that have failed.
    pub oddities: bool,
    /// Stops reading output for a while.
    pub stalls: bool,
    /// Says that bundles are committed, once or twice, where they have something left to do then.
    pub commits: bool,
    /// Puts the input of some bundles in their requests.
    pub embeds: bool,
    /// Spreads bundles over named data streams.
    pub streams: bool,
    /// Cuts connections. Bundles that fail by it need [`Bundle::retries`].
    pub cuts: bool,
}

impl Chaos {
    /// Everything.
    pub fn all() -> Self {
        Chaos {
            progress: true,
            splits: true,
            oddities: true,
            stalls: true,
            commits: true,
            embeds: true,
            streams: true,
            cuts: true,
        }
    }
}

/// A bundle as the test gave it, which may take several attempts and be split into several parts.
struct Job {
    stage: Descriptor,
    retries: usize,
    stream: String,
    embeds: bool,
    done: Option<BundleOutcome>,
}

/// One bundle as the worker gets it.
struct Attempt {
    job: usize,
    id: String,
    stream: String,
    /// Input that stands in the request.
    embedded: Option<Elements>,
    inputs: BTreeMap<String, Vec<Bytes>>,
    timers: BTreeMap<Family, Vec<Bytes>>,
    steps: VecDeque<Step>,
    is_announced: bool,
    has_input: bool,
    /// Input went down with a connection, so that the bundle can only fail.
    is_lost: bool,
}

impl FakeRunner {
    /// Runs bundles at the same time, and yields their outcomes in the same order.
    ///
    /// A bundle that was split yields the output of all its parts, and the metrics of the first.
    ///
    /// # Panics
    /// The worker breaks a rule, or takes too long.
    #[track_caller]
    pub fn run_all(&self, bundles: Vec<Bundle<'_>>, chaos: Chaos) -> Vec<BundleOutcome> {
        let fresh = self.next_id.load(std::sync::atomic::Ordering::Relaxed) as u64;
        let mut session = Session {
            runner: self,
            random: Random::new(self.hub.seed ^ (fresh << 32)),
            chaos,
            jobs: Vec::new(),
            attempts: Vec::new(),
            asked: Vec::new(),
            delayed: BTreeMap::new(),
            clock: Duration::ZERO,
        };
        for bundle in bundles {
            let job = session.jobs.len();
            session.jobs.push(Job {
                stage: bundle.stage,
                retries: bundle.retries,
                stream: bundle.stream,
                embeds: bundle.embeds,
                done: None,
            });
            session.add(job, bundle.inputs, bundle.timers);
        }
        while !session.attempts.is_empty() || session.wake() {
            session.send_all();
            session.collect();
        }
        let outcomes = session.jobs.into_iter().map(|job| job.done);
        outcomes
            .map(|outcome| outcome.expect("all jobs were done"))
            .collect()
    }
}

struct Session<'a> {
    runner: &'a FakeRunner,
    random: Random,
    chaos: Chaos,
    jobs: Vec<Job>,
    attempts: Vec<Attempt>,
    /// Instructions besides the bundles.
    asked: Vec<String>,
    /// Input that waits, by the time that it is for, and the job that it belongs to.
    delayed: BTreeMap<(Duration, usize), BTreeMap<String, Vec<Bytes>>>,
    /// The runner's own time.
    clock: Duration,
}

impl Session<'_> {
    /// Moves the clock to where something waits, if anything does.
    fn wake(&mut self) -> bool {
        let Some(((due, job), inputs)) = self.delayed.pop_first() else {
            return false;
        };
        self.clock = due;
        if let Some(done) = &mut self.jobs[job].done {
            done.waited = due;
        }
        self.add(job, inputs, BTreeMap::new());
        true
    }

    /// Sees to what splittable functions gave back: it becomes input of the source that it came from, now in `rest` or
    /// later. Leaves what has no source.
    fn put_back(
        &mut self,
        job: usize,
        residuals: &mut Vec<Root>,
        rest: &mut BTreeMap<String, Vec<Bytes>>,
    ) {
        let stage = self.jobs[job].stage.id().to_owned();
        let sources: Vec<Option<String>> = self.runner.hub.with(|ledger| {
            let splittables = ledger.stages.get(&stage).map(|stage| &stage.splittables);
            let source = |root: &Root| splittables?.get(&root.transform)?.source.clone();
            residuals.iter().map(source).collect()
        });
        let mut sources = sources.into_iter();
        residuals.retain(|root| {
            let Some(source) = sources.next().flatten() else {
                return true;
            };
            let inputs = if root.delay.is_zero() {
                &mut *rest
            } else {
                let due = self.clock + root.delay;
                self.delayed.entry((due, job)).or_default()
            };
            inputs.entry(source).or_default().push(root.element.clone());
            false
        });
    }

    fn add(
        &mut self,
        job: usize,
        inputs: BTreeMap<String, Vec<Bytes>>,
        timers: BTreeMap<Family, Vec<Bytes>>,
    ) {
        let id = self.runner.fresh_id();
        let Job {
            stage,
            stream,
            embeds,
            ..
        } = &self.jobs[job];
        let mut stream = stream.clone();
        if self.chaos.streams {
            stream = ["", "one", "two"][self.random.below(3)].into();
        }
        let embeds = *embeds || (self.chaos.embeds && self.random.percent(30));
        let service = |source: &str| stage.service_of(source).unwrap_or_default();
        let mut streams: Vec<_> = inputs
            .iter()
            .map(|(source, elements)| {
                let to = Stream::source(source, service(source));
                (to, elements.as_slice())
            })
            .collect();
        streams.extend(timers.iter().map(|(family, timers)| {
            let to = Stream::timers(family, stage.timer_service());
            (to, timers.as_slice())
        }));
        let mut steps = steps(&mut self.random, &id, &streams);
        let embedded = embeds.then(|| embed(&mut steps));
        self.attempts.push(Attempt {
            job,
            id,
            stream,
            embedded,
            inputs,
            timers,
            steps,
            is_announced: false,
            has_input: false,
            is_lost: false,
        });
    }

    /// Takes all steps of all bundles, in any order.
    #[track_caller]
    fn send_all(&mut self) {
        loop {
            let with_steps = self.attempts.iter().enumerate();
            let with_steps = with_steps.filter(|(_, attempt)| !attempt.steps.is_empty());
            let open: Vec<usize> = with_steps.map(|(index, _)| index).collect();
            if open.is_empty() {
                break;
            }
            let index = open[self.random.below(open.len())];
            self.step(index);
            self.disturb();
        }
        self.runner.read_output(true);
    }

    #[track_caller]
    fn step(&mut self, index: usize) {
        let attempt = &mut self.attempts[index];
        let stage = self.jobs[attempt.job].stage.id();
        match attempt.steps.pop_front() {
            Some(Step::Announce) => {
                // Input that went down cannot be sent again under the same id: the bundle must fail.
                let stage = if attempt.is_lost { "nowhere" } else { stage };
                let embedded = attempt.embedded.clone();
                self.runner
                    .announce(&attempt.id, stage, &attempt.stream, embedded);
                attempt.is_announced = true;
            }
            Some(Step::Send(service, elements)) => {
                if attempt.is_lost {
                    return;
                }
                // The worker opens its stream for the first bundle that needs it.
                let has_stream = self.runner.has_named_stream(service, &attempt.stream);
                if !has_stream && !attempt.is_announced {
                    self.runner
                        .announce(&attempt.id, stage, &attempt.stream, None);
                    attempt.is_announced = true;
                    attempt.steps.retain(|step| *step != Step::Announce);
                }
                let id = attempt.id.clone();
                let line = self.runner.hub.data.line(service, &attempt.stream);
                let can_go = self.runner.hub.wait("a data stream", |ledger| {
                    let bundle = ledger.bundles.get(&id);
                    let has_ended = bundle.is_some_and(|b| b.answer.is_some() || b.was_cut);
                    line.sender().map(|_| true).or(has_ended.then_some(false))
                });
                if can_go {
                    attempt.has_input = true;
                    self.runner
                        .send_elements_on(service, &attempt.stream, elements);
                }
            }
            None => {}
        }
    }

    /// Does something that a runner may do at any time.
    #[track_caller]
    fn disturb(&mut self) {
        let index = self.random.below(self.attempts.len());
        let id = self.attempts[index].id.clone();
        if self.chaos.progress && self.random.percent(20) {
            let request = ProcessBundleProgressRequest {
                instruction_id: id.clone(),
            };
            self.send(Request::ProcessBundleProgress(request));
        }
        if self.chaos.splits && self.random.percent(10) {
            self.split(index);
        }
        if self.chaos.oddities && self.random.percent(10) {
            self.oddity(index);
        }
        if self.chaos.stalls && self.random.percent(10) {
            let reads = self.random.percent(50);
            self.runner.read_output(reads);
        }
        if self.chaos.cuts && self.random.percent(2) {
            self.cut();
        }
    }

    #[track_caller]
    fn send(&mut self, request: impl Into<Option<Request>>) {
        let id = self.runner.fresh_id();
        self.runner.instruction(&id, request);
        self.asked.push(id);
    }

    #[track_caller]
    fn split(&mut self, index: usize) {
        let random = &mut self.random;
        let attempt = &self.attempts[index];
        let mut desired_splits = BTreeMap::new();
        for (source, elements) in &attempt.inputs {
            let count = elements.len() as i64;
            let mut allowed_split_points = Vec::new();
            if random.percent(30) {
                allowed_split_points = (0..count).filter(|_| random.percent(30)).collect();
            }
            let desired = DesiredSplit {
                fraction_of_remainder: random.below(5) as f64 / 4.0,
                estimated_input_elements: if random.percent(20) { 0 } else { count },
                allowed_split_points,
            };
            desired_splits.insert(source.clone(), desired);
        }
        let request = ProcessBundleSplitRequest {
            instruction_id: attempt.id.clone(),
            desired_splits,
        };
        self.send(Request::ProcessBundleSplit(request));
    }

    #[track_caller]
    fn oddity(&mut self, index: usize) {
        let about = match self.random.below(3) {
            0 => "never-heard-of".to_owned(),
            _ => self.attempts[index].id.clone(),
        };
        match self.random.below(6) {
            0 => self.send(None),
            1 => self.send(Request::FinalizeBundle(FinalizeBundleRequest {
                instruction_id: about,
            })),
            2 => self.send(Request::HarnessMonitoringInfos(
                HarnessMonitoringInfosRequest::default(),
            )),
            3 => self.send(Request::SampleData(SampleDataRequest::default())),
            4 => self.send(Request::MonitoringInfos(MonitoringInfosMetadataRequest {
                monitoring_info_id: vec!["0".into(), "no such id".into()],
            })),
            // The id of a bundle, once more.
            _ if self.attempts[index].is_announced => {
                let attempt = &self.attempts[index];
                let stage = self.jobs[attempt.job].stage.id();
                self.runner
                    .announce(&attempt.id, stage, &attempt.stream, None);
                self.asked.push(attempt.id.clone());
            }
            _ => {}
        }
    }

    fn cut(&mut self) {
        if self.random.percent(30) {
            return self.runner.cut_state_stream();
        }
        let service = self.random.below(self.runner.hub.data.services());
        self.runner.cut_data(service);
        for attempt in &mut self.attempts {
            // What was sent may not have arrived. An announced bundle notices by itself.
            let stage = &self.jobs[attempt.job].stage;
            let mut sources = stage.sources();
            let has_timers = stage.families().next().is_some();
            let reads = sources.any(|source| stage.service_of(source) == Some(service))
                || has_timers && stage.timer_service() == service;
            let reads = reads && attempt.embedded.is_none();
            attempt.is_lost |= reads && (attempt.has_input || attempt.is_announced);
        }
    }

    /// Waits for the end of all bundles, and adds those that must follow.
    #[track_caller]
    fn collect(&mut self) {
        let runner = self.runner;
        let attempts = std::mem::take(&mut self.attempts);
        let mut ended = Vec::new();
        for attempt in attempts {
            let outcome = runner.outcome(&attempt.id, &self.jobs[attempt.job].stage);
            ended.push((attempt, outcome));
        }
        for id in std::mem::take(&mut self.asked) {
            runner.expect_response(&id);
        }
        for (attempt, mut outcome) in ended {
            // A split may have been answered after the bundle.
            (outcome.splits, outcome.residuals) = runner.hub.with(|ledger| {
                let bundle = ledger.bundles.get(&attempt.id);
                bundle
                    .map(|bundle| (bundle.stops.clone(), bundle.residuals.clone()))
                    .unwrap_or_default()
            });
            let job = &mut self.jobs[attempt.job];
            if outcome.error.is_some() {
                if job.retries > 0 {
                    job.retries -= 1;
                    self.add(attempt.job, attempt.inputs, attempt.timers);
                } else {
                    job.done = Some(outcome);
                }
                continue;
            }
            self.check_read_indices(&attempt, &outcome);
            if self.chaos.commits && outcome.requires_finalization {
                for _ in 0..1 + self.random.below(2) {
                    if let Err(error) = runner.finalize(&outcome.id) {
                        runner.hub.fail(&format!("finalization fails: {error}"));
                    }
                }
            }
            let mut rest = rest(&attempt.inputs, &outcome.splits);
            self.put_back(attempt.job, &mut outcome.residuals, &mut rest);
            let job = &mut self.jobs[attempt.job];
            match &mut job.done {
                Some(done) => {
                    done.bundles += 1;
                    done.residuals.extend(outcome.residuals);
                    for (sink, output) in outcome.outputs {
                        done.outputs.entry(sink).or_default().extend(output);
                    }
                }
                done => *done = Some(outcome),
            }
            if rest.values().any(|elements| !elements.is_empty()) {
                // Timers are never split off.
                let mut timers = attempt.timers;
                timers.values_mut().for_each(Vec::clear);
                self.add(attempt.job, rest, timers);
            }
        }
    }

    /// Each bundle must have read all its elements, up to where it was split.
    #[track_caller]
    fn check_read_indices(&self, attempt: &Attempt, outcome: &BundleOutcome) {
        for (source, elements) in &attempt.inputs {
            let count = elements.len() as i64;
            let stop = outcome.splits.get(source).copied().unwrap_or(i64::MAX);
            let read = outcome.metrics.read_index(source).unwrap_or(0);
            if read != count.min(stop) {
                self.runner.hub.fail(&format!(
                    "bundle {:?} has read {read} of {count} elements of {source:?}, and was to stop at {stop}",
                    attempt.id
                ));
            }
        }
    }
}

/// What a split bundle gave back.
fn rest(
    inputs: &BTreeMap<String, Vec<Bytes>>,
    splits: &BTreeMap<String, i64>,
) -> BTreeMap<String, Vec<Bytes>> {
    let rest = inputs.iter().map(|(source, elements)| {
        let stop = splits.get(source).copied().unwrap_or(i64::MAX);
        let stop = usize::try_from(stop).unwrap_or(usize::MAX);
        let rest = elements.get(stop..).unwrap_or_default();
        (source.clone(), rest.to_vec())
    });
    rest.collect()
}
