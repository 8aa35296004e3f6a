//! A storm of splits: a plan without sockets is split every few positions, and what it gives back is processed in further
//! bundles, until nothing is left. Each position of each element is processed exactly once.
//!
//! `FERROBEAM_SEEDS` says how many small storms there are, 1,000 if it says nothing, and `FERROBEAM_GREAT_STORMS` how many of
//! 1,000,000 elements, one if it says nothing. Many of those want an optimised build.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use beam_proto::fnexec::ProcessBundleDescriptor;
use bytes::Bytes;
use ferrobeam::dofn::{Clock, Commits, OptionValues, Services, StateKey, StatePort};
use ferrobeam::element::Page;
use ferrobeam::exec::{
    AtElement, DesiredSplit, Inbound, LinkServices, Outbox, Plan, PlanMetrics, Registry,
    SourceSplit, link,
};
use ferrobeam::model::descriptor::PlanSpec;
use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, Endpoints, Random, in_global_window};
use ferrobeam::window::WindowFn;
use serde::{Deserialize, Serialize};

/// How often the runner asks for a split: once in so many positions.
const EVERY: u64 = 10;

/// Counts how often each position of each element is processed, and has the runner ask for splits meanwhile.
#[derive(Clone, Serialize, Deserialize, DoFn)]
#[beam(name = "storm.Counting/v1")]
struct Counting;

/// What the test does at each position.
type AtPosition = Box<dyn FnMut(i64, i64)>;

thread_local! {
    static AT_POSITION: RefCell<Option<AtPosition>> = const { RefCell::new(None) };
}

impl Splittable for Counting {
    type In = i64;
    type Tracker = OffsetTracker;
    type Watermark = Held;
    type Io = Out<i64>;

    fn initial(&self, length: &i64) -> Result<OffsetRange> {
        Ok(OffsetRange::new(0, *length))
    }

    fn process(
        &mut self,
        element: &i64,
        claims: &Claims<Self>,
        _: &mut Cx<'_>,
        _: &mut Out<i64>,
    ) -> Result<Resume> {
        let mut next = claims.restriction().start;
        while claims.claim(next) {
            AT_POSITION.with_borrow_mut(|at| {
                if let Some(at) = at {
                    at(*element, next);
                }
            });
            next += 1;
        }
        Ok(Resume::Done)
    }
}

/// Nothing outside of the plan: there are no sinks and no state.
struct Outside;

impl Outbox for Outside {
    fn send(&self, _: usize, _: Bytes) -> Result<()> {
        Ok(())
    }

    fn close(&self, _: usize, _: Bytes) -> Result<()> {
        Ok(())
    }
}

impl StatePort for Outside {
    fn get(&self, _: &StateKey, _: &Bytes) -> Result<Page> {
        Err(Error::user("there is no state"))
    }

    fn append(&self, _: &StateKey, _: Bytes) -> Result<()> {
        Err(Error::user("there is no state"))
    }

    fn clear(&self, _: &StateKey) -> Result<()> {
        Err(Error::user("there is no state"))
    }
}

impl Clock for Outside {
    fn now_millis(&self) -> i64 {
        0
    }
}

fn plan() -> Plan {
    let mut stage = Descriptor::new("storm");
    let parts = stage.source_of_work::<Counting>("source", &i64::coder(), WindowFn::Global);
    stage.process("process", &Counting, &parts, &[]);
    let endpoints = Endpoints {
        data: vec!["nowhere:1".into()],
        state: None,
    };
    let descriptor: ProcessBundleDescriptor = stage.build(&endpoints);
    let spec = Arc::new(PlanSpec::try_from(descriptor).unwrap());
    let mut registry = Registry::new();
    registry.add_splittable::<Counting>();
    let services = LinkServices {
        functions: Services {
            state: Arc::new(Outside),
            clock: Arc::new(Outside),
            options: OptionValues::default(),
            commits: Commits::default(),
        },
        outbox: Arc::new(Outside),
        samples: None,
        flush_bytes: 1 << 20,
        sends_early: false,
    };
    link(spec, &registry, &services).unwrap()
}

/// Elements that wait to be processed: a stretch of the first input, or what was given back.
enum Waiting {
    Stretch(Range<usize>),
    Roots(Vec<Bytes>),
}

impl Waiting {
    fn len(&self) -> usize {
        match self {
            Waiting::Stretch(range) => range.len(),
            Waiting::Roots(roots) => roots.len(),
        }
    }
}

/// The input of one bundle, which ends where the bundle was split.
struct Feed<'a> {
    elements: &'a [Bytes],
    next: usize,
    metrics: Arc<PlanMetrics>,
}

impl Inbound for Feed<'_> {
    fn next(&mut self) -> Result<(usize, Bytes, bool)> {
        let work = self.metrics.sources[0].work();
        let stop = work.map_or(usize::MAX, |work| {
            (work.completed + work.remaining) as usize
        });
        let end = (self.next + 16).min(self.elements.len());
        let chunk = self.elements[self.next..end].concat();
        self.next = end;
        let is_last = end == self.elements.len() || end >= stop;
        Ok((0, chunk.into(), is_last))
    }
}

/// Where the runner asks for splits.
#[derive(Clone, Copy, PartialEq)]
enum Asks {
    /// In the middle of `process`.
    Within,
    /// On a thread of its own, while `process` goes on.
    Beside,
}

struct Storm {
    plan: Plan,
    random: Random,
    lengths: Vec<i64>,
    /// How often each position was processed, one element behind the other.
    counts: Arc<Mutex<Vec<u8>>>,
    splits: usize,
    within: usize,
}

impl Storm {
    fn new(seed: u64, elements: usize, longest: usize) -> Self {
        let mut random = Random::new(seed);
        let lengths: Vec<i64> = (0..elements)
            .map(|_| random.below(longest + 1) as i64)
            .collect();
        let all = lengths.iter().sum::<i64>() as usize;
        Storm {
            plan: plan(),
            random,
            lengths,
            counts: Arc::new(Mutex::new(vec![0; all])),
            splits: 0,
            within: 0,
        }
    }

    /// The elements: each knows where its positions are among all.
    fn input(&self) -> Vec<Bytes> {
        let mut first = 0;
        let elements = self.lengths.iter().map(|length| {
            let range = OffsetRange::new(0, *length);
            let element = Kv(Kv(first, Kv(range, 0i64)), *length as f64);
            first += length;
            element
        });
        in_global_window(elements)
    }

    fn desired(random: &mut Random, count: usize) -> DesiredSplit {
        let mut allowed = Vec::new();
        if random.percent(20) {
            allowed = (0..count.min(200) as i64)
                .filter(|_| random.percent(50))
                .collect();
        }
        DesiredSplit {
            fraction: random.below(5) as f64 / 4.0,
            estimated_elements: if random.percent(20) { 0 } else { count as i64 },
            allowed,
        }
    }

    /// Runs bundles until nothing is left.
    fn rage(&mut self, asks: Asks) {
        let input = self.input();
        let mut waiting = VecDeque::from([Waiting::Stretch(0..input.len())]);
        while let Some(bundle) = waiting.pop_front() {
            let count = bundle.len();
            let splits = match &bundle {
                Waiting::Stretch(range) => self.bundle(&input[range.clone()], asks),
                Waiting::Roots(roots) => self.bundle(roots, asks),
            };
            let mut stop = i64::MAX;
            let mut roots = Vec::new();
            for split in splits {
                stop = self.check(&split, stop);
                roots.extend(split.residuals.into_iter().map(|root| root.element));
            }
            let read = self.plan.metrics().sources[0].begun();
            assert_eq!(read, stop.min(count as i64));
            let rest = usize::try_from(stop).unwrap_or(usize::MAX).min(count);
            match bundle {
                Waiting::Stretch(range) if rest < count => {
                    waiting.push_back(Waiting::Stretch(range.start + rest..range.end));
                }
                Waiting::Roots(all) if rest < count => {
                    waiting.push_back(Waiting::Roots(all[rest..].to_vec()));
                }
                _ => {}
            }
            if !roots.is_empty() {
                waiting.push_back(Waiting::Roots(roots));
            }
        }
        let counts = self.counts.lock().unwrap();
        let wrong = counts.iter().position(|count| *count != 1);
        assert_eq!(wrong.map(|at| (at, counts[at])), None);
    }

    /// Checks a split; yields where the bundle stops now.
    fn check(&mut self, split: &SourceSplit, stop: i64) -> i64 {
        self.splits += 1;
        let (last, first) = (split.channel.last_primary, split.channel.first_residual);
        let cuts_within = !split.residuals.is_empty();
        assert_eq!(cuts_within, !split.primaries.is_empty());
        assert_eq!(first - last, if cuts_within { 2 } else { 1 });
        assert!(first < stop || (cuts_within && first == stop));
        self.within += usize::from(cuts_within);
        first
    }

    /// Runs one bundle, which is split every few positions.
    fn bundle(&mut self, elements: &[Bytes], asks: Asks) -> Vec<SourceSplit> {
        let metrics = self.plan.metrics().clone();
        self.plan.reset();
        let splits: Arc<Mutex<Vec<SourceSplit>>> = Arc::default();
        let (counts, count) = (self.counts.clone(), elements.len());
        let mut random = Random::new(self.random.number());
        let ask = {
            let (metrics, splits) = (metrics.clone(), splits.clone());
            move || {
                let desired = Self::desired(&mut random, count);
                // In one step, so that splits stand in the order in which they were made.
                let mut splits = splits.lock().unwrap();
                splits.extend(metrics.split(0, &desired));
            }
        };
        let (asking, asked): (SyncSender<()>, Receiver<()>) = sync_channel(1);
        let (mut ask, runner) = match asks {
            Asks::Within => (Some(ask), None),
            Asks::Beside => {
                let mut ask = ask;
                let runner = std::thread::spawn(move || asked.iter().for_each(|()| ask()));
                (None, Some(runner))
            }
        };
        let mut positions = 0;
        let at_position: AtPosition = Box::new(move |element, position| {
            counts.lock().unwrap()[(element + position) as usize] += 1;
            positions += 1;
            if positions % EVERY != 0 {
                return;
            }
            match &mut ask {
                Some(ask) => ask(),
                // Whoever is busy with a split takes no other.
                None => drop(asking.try_send(())),
            }
        });
        AT_POSITION.set(Some(at_position));
        let mut feed = Feed {
            elements,
            next: 0,
            metrics: metrics.clone(),
        };
        self.plan.run(&mut feed).unwrap();
        AT_POSITION.set(None);
        if let Some(runner) = runner {
            runner.join().unwrap();
        }
        metrics.close();
        assert!(metrics.take_left().is_empty());
        std::mem::take(&mut *splits.lock().unwrap())
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn each_position_is_processed_once_in_every_storm() {
    let seeds = number("FERROBEAM_SEEDS").unwrap_or(1000);
    let (mut splits, mut within) = (0, 0);
    for seed in 0..seeds {
        let asks = [Asks::Within, Asks::Beside][(seed % 2) as usize];
        let mut storm = Storm::new(seed, 100, 60);
        storm.rage(asks);
        splits += storm.splits;
        within += storm.within;
    }
    // Storms that split nothing show nothing.
    assert!(splits > seeds as usize * 20 && within > seeds as usize * 10);
}

#[test]
fn great_storms() {
    for seed in 1..=number("FERROBEAM_GREAT_STORMS").unwrap_or(1) {
        let mut storm = Storm::new(seed, 1_000_000, 2);
        storm.rage(Asks::Within);
        assert!(storm.splits > 50_000 && storm.within > 5_000, "seed {seed}");
    }
}

#[test]
fn only_the_element_in_hand_is_cut() {
    let mut storm = Storm::new(1, 0, 0);
    storm.lengths = vec![10];
    let input = storm.input();
    let metrics = storm.plan.metrics().clone();
    storm.plan.reset();
    let seen = std::rc::Rc::new(RefCell::new(Vec::new()));
    let (hand, log) = (metrics.hands[0].clone(), seen.clone());
    let at_position: AtPosition = Box::new(move |_, position| {
        if position == 4 {
            for index in [u64::MAX, 1, 0] {
                let cut = hand.cut(index, &|_| Some(0.0), &|| ());
                log.borrow_mut().push(match cut {
                    AtElement::Elsewhere => "elsewhere",
                    AtElement::Whole(_) => "whole",
                    AtElement::Cut { .. } => "cut",
                });
            }
        }
    });
    AT_POSITION.set(Some(at_position));
    let mut feed = Feed {
        elements: &input,
        next: 0,
        metrics: metrics.clone(),
    };
    storm.plan.run(&mut feed).unwrap();
    AT_POSITION.set(None);
    assert_eq!(*seen.borrow(), ["elsewhere", "elsewhere", "cut"]);
    let done = metrics.hands[0].cut(0, &|_| Some(0.0), &|| ());
    assert!(matches!(done, AtElement::Elsewhere));
}
