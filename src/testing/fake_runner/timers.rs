//! Timers as a runner keeps them: set by bundles, fired into bundles.

use std::collections::{BTreeMap, BTreeSet};

use beam_proto::fnexec::elements::Timers;
use bytes::Bytes;

use super::ledger::{Ledger, Output};
use super::transcript::hex;
use super::{Bundle, BundleOutcome, FakeRunner};
use crate::dofn::TimeDomain;
use crate::element::{Coder, Firing, Input, TimerCoding, TimerRecord, Timestamp, WindowBytes};
use crate::error::Result;
use crate::testing::Descriptor;

/// A family of timers: the id of its function, and its name.
pub(super) type Family = (String, String);

/// A timer that a bundle has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldTimer {
    /// The id of its function.
    pub transform: String,
    /// Its family.
    pub family: String,
    /// What the bundle said of it.
    pub record: TimerRecord,
}

/// The timers of all stages.
#[derive(Default)]
pub(super) struct TimerStore(BTreeMap<Id, Held>);

/// Stage, family, key, windows and tag.
type Id = (String, Family, Bytes, Vec<u8>, String);

struct Held {
    windows: WindowBytes,
    firing: Firing,
}

impl TimerStore {
    /// Takes what a bundle says of a timer.
    fn write(&mut self, stage: &str, family: &Family, record: TimerRecord) {
        let id = (
            stage.to_owned(),
            family.clone(),
            record.key,
            record.windows.bytes().to_vec(),
            record.tag,
        );
        match record.firing {
            None => self.0.remove(&id),
            Some(firing) => {
                let windows = record.windows;
                self.0.insert(id, Held { windows, firing })
            }
        };
    }

    /// The timers of a stage, in the order of their times.
    fn of_stage(&self, stage: &str) -> Vec<HeldTimer> {
        let of_stage = self.0.iter().filter(|((of, ..), _)| of == stage);
        let mut timers: Vec<HeldTimer> = of_stage
            .map(|((_, (transform, family), key, _, tag), held)| HeldTimer {
                transform: transform.clone(),
                family: family.clone(),
                record: TimerRecord {
                    key: key.clone(),
                    tag: tag.clone(),
                    windows: held.windows.clone(),
                    firing: Some(held.firing),
                },
            })
            .collect();
        timers.sort_by_key(|timer| timer.record.firing.map(|firing| firing.at));
        timers
    }

    fn remove(&mut self, stage: &str, timer: &HeldTimer) {
        let record = TimerRecord {
            firing: None,
            ..timer.record.clone()
        };
        let family = (timer.transform.clone(), timer.family.clone());
        self.write(stage, &family, record);
    }
}

impl Ledger {
    /// The worker sends timers.
    pub(super) fn takes_timers(&mut self, timers: &Timers) {
        let (id, end) = (&timers.instruction_id, ["", ", the last"]);
        let family = (timers.transform_id.clone(), timers.timer_family_id.clone());
        self.transcript.add(format!(
            "← {id:?} timers of {family:?}: {}{}",
            hex(&timers.timers),
            end[usize::from(timers.is_last)]
        ));
        if let Err(fault) = self.timer_output(&family, timers) {
            self.violation(format!("in the timers of {id:?} at {family:?}: {fault}"));
        }
    }

    fn timer_output(&mut self, family: &Family, timers: &Timers) -> Result<(), String> {
        let id = &timers.instruction_id;
        let bundle = self.bundles.get_mut(id).ok_or("there is no such bundle")?;
        let stage = self.stages.get(&bundle.stage);
        let coder = stage
            .and_then(|stage| stage.timers.get(family))
            .ok_or("the bundle has no such family")?;
        let failed = bundle.answer.as_ref().is_some_and(|a| !a.error.is_empty());
        if timers.is_last && failed {
            return Err("the bundle has failed, but the family is ended".into());
        }
        let output = bundle.timers.entry(family.clone()).or_default();
        if output.is_closed {
            return Err("they come after their end".into());
        }
        output.is_closed = timers.is_last;
        output.data.extend_from_slice(&timers.timers);
        output.messages += usize::from(!timers.timers.is_empty());
        let records = read_timers(coder, &timers.timers);
        records
            .map(drop)
            .map_err(|e| format!("the message does not hold whole timers: {e}"))
    }

    /// Whether a bundle has ended all its families of timers.
    pub(super) fn has_all_timers(&self, id: &str) -> bool {
        let Some(bundle) = self.bundles.get(id) else {
            return false;
        };
        let ended = |family| bundle.timers.get(family).is_some_and(|o| o.is_closed);
        let stage = self.stages.get(&bundle.stage);
        stage.is_some_and(|stage| stage.timers.keys().all(ended))
    }

    /// Keeps what a bundle that has succeeded said of timers.
    fn keep_timers(&mut self, id: &str) {
        let Some(bundle) = self.bundles.get_mut(id) else {
            return;
        };
        let is_good = |bundle: &super::ledger::Bundle| {
            let answer = bundle.answer.as_ref();
            answer.is_some_and(|answer| answer.error.is_empty()) && !bundle.was_cut
        };
        if !is_good(bundle) || std::mem::replace(&mut bundle.has_kept_timers, true) {
            return;
        }
        let mut twice = Vec::new();
        for (family, output) in &bundle.timers {
            let stage = self.stages.get(&bundle.stage);
            let Some(coder) = stage.and_then(|stage| stage.timers.get(family)) else {
                continue;
            };
            let mut seen = BTreeSet::new();
            for record in read_timers(coder, &output.data).unwrap_or_default() {
                let windows = record.windows.bytes().to_vec();
                if !seen.insert((record.key.clone(), windows, record.tag.clone())) {
                    twice.push(format!("{id:?} has written twice to a timer of {family:?}"));
                }
                self.timers.write(&bundle.stage, family, record);
            }
        }
        for fault in twice {
            self.violation(fault);
        }
    }

    /// What a bundle has said of its timers, if it has succeeded; then it is kept.
    pub(super) fn take_timers(&mut self, id: &str) -> BTreeMap<Family, Vec<u8>> {
        self.keep_timers(id);
        let timers = self.bundles.get(id).map(|bundle| bundle.timers.iter());
        let timers = timers.into_iter().flatten();
        timers
            .map(|(family, Output { data, .. })| (family.clone(), data.clone()))
            .collect()
    }
}

/// The records that stand one after the other in `data`.
pub(super) fn read_timers(coder: &Coder, data: &[u8]) -> Result<Vec<TimerRecord>> {
    let coding = TimerCoding::of(coder)?;
    let mut input = Input::new(data);
    let mut records = Vec::new();
    while !input.is_empty() {
        records.push(TimerRecord::decode(&mut input, &coding)?);
    }
    Ok(records)
}

impl FakeRunner {
    /// The timers that bundles of a stage have set and that have not fired, in the order of their times.
    pub fn timers(&self, stage: &Descriptor) -> Vec<HeldTimer> {
        self.hub.with(|ledger| ledger.timers.of_stage(stage.id()))
    }

    /// Moves the watermark of a stage's input. Event-time timers that are due fire in a bundle of their own; those that
    /// this bundle sets and that are due by then, in another; and so on.
    ///
    /// # Panics
    /// The worker breaks a rule, takes too long, or fails a bundle.
    #[track_caller]
    pub fn advance_watermark(&self, stage: &Descriptor, to: Timestamp) -> Vec<BundleOutcome> {
        self.advance(stage, TimeDomain::EventTime, to)
    }

    /// Moves the clock of the runner: as [`FakeRunner::advance_watermark`], for processing-time timers.
    ///
    /// # Panics
    /// As [`FakeRunner::advance_watermark`].
    #[track_caller]
    pub fn advance_processing_time(&self, stage: &Descriptor, to: Timestamp) -> Vec<BundleOutcome> {
        self.advance(stage, TimeDomain::ProcessingTime, to)
    }

    #[track_caller]
    fn advance(&self, stage: &Descriptor, domain: TimeDomain, to: Timestamp) -> Vec<BundleOutcome> {
        let mut outcomes = Vec::new();
        loop {
            let mut due = self.timers(stage);
            due.retain(|timer| {
                let mut families = stage.families();
                let is_in = families.any(|(transform, family)| {
                    transform == timer.transform
                        && family.family == timer.family
                        && family.domain == domain
                });
                is_in && timer.record.firing.is_some_and(|firing| firing.at <= to)
            });
            if due.is_empty() {
                return outcomes;
            }
            let mut bundle = self.bundle(stage);
            for timer in due {
                bundle = bundle.fire(&timer.transform, &timer.family, [timer.record.clone()]);
                self.hub
                    .with(|ledger| ledger.timers.remove(stage.id(), &timer));
            }
            let outcome = bundle.run();
            outcome.assert_ok();
            outcomes.push(outcome);
        }
    }
}

impl Bundle<'_> {
    /// Adds timers of a family that have fired.
    ///
    /// # Panics
    /// The stage has no such family.
    #[track_caller]
    pub fn fire(
        mut self,
        transform: &str,
        family: &str,
        timers: impl IntoIterator<Item = TimerRecord>,
    ) -> Self {
        let key = (transform.to_owned(), family.to_owned());
        let Some(input) = self.timers.get_mut(&key) else {
            panic!("{:?} has no timers {key:?}", self.stage.id());
        };
        for timer in timers {
            let mut bytes = Vec::new();
            timer.encode(&mut bytes);
            input.push(bytes.into());
        }
        self
    }
}

impl BundleOutcome {
    /// The bytes that a family of timers has sent.
    pub fn timer_bytes(&self, transform: &str, family: &str) -> &[u8] {
        let family = (transform.to_owned(), family.to_owned());
        self.timers.get(&family).map_or(&[], Vec::as_slice)
    }

    /// What the bundle has said of the timers of a family.
    ///
    /// # Panics
    /// The bundle failed, has no such family, or sent something else.
    #[track_caller]
    pub fn timers(&self, transform: &str, family: &str) -> Vec<TimerRecord> {
        self.assert_ok();
        let key = (transform.to_owned(), family.to_owned());
        let Some(coder) = self.timer_coders.get(&key) else {
            panic!("there are no timers {key:?}");
        };
        match read_timers(coder, self.timer_bytes(transform, family)) {
            Ok(timers) => timers,
            Err(error) => panic!("the timers {key:?} cannot be read: {error}"),
        }
    }
}
