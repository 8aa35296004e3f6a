//! The bundles that the runner has told of: live, finished, failed.
//!
//! Input may come before its bundle and after it, and requests about a bundle may overtake it. So the reader of the
//! control stream records a bundle before anything else happens to it, and ended ones are remembered for a while.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use beam_proto::fnexec::ProcessBundleRequest;

use super::inbox::{Expectant, Inbox, InboxBudget, stretches};
use super::jobs::BundleRequest;
use super::page::Census;
use super::process::Thread;
use super::response::PlanFacts;
use super::work::{Creating, Stage, Work};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Activity, HeldOutput, PlanMetrics, Ticket};

/// How many ended bundles are remembered. Whatever comes for an older one is treated as for an unknown one.
const REMEMBERED: usize = 1000;

/// How many bundles may have input before the runner announces them.
const MAX_UNANNOUNCED: usize = 10_000;

/// How long input waits for its bundle to be announced. Runners send it moments before; what waits longer belongs to a
/// bundle that its runner gave up.
const ORPHANED: Duration = Duration::from_secs(600);

/// Names one data stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StreamId {
    /// `host:port` of the data service.
    pub(crate) endpoint: Arc<str>,
    /// The stream's name, by which the runner spreads bundles over streams; empty for the one that has none.
    pub(crate) name: Arc<str>,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            write!(f, "the data stream of {}", self.endpoint)
        } else {
            write!(f, "the data stream {:?} of {}", self.name, self.endpoint)
        }
    }
}

/// What can be asked of a bundle while it runs.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) facts: Arc<PlanFacts>,
    pub(crate) metrics: Arc<PlanMetrics>,
    /// The bundle among those of its plan.
    pub(crate) ticket: Ticket,
    pub(crate) activity: Activity,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) thread: Thread,
    pub(crate) began: Instant,
    pub(crate) held: Arc<HeldOutput>,
}

/// What is known of a bundle.
pub(crate) enum Known {
    /// It was never announced, or it was announced and is not running yet, or it ended well.
    Nothing,
    /// It runs.
    Running(Running),
    /// It failed.
    Failed,
}

/// All bundles of a worker.
pub(crate) struct Instructions {
    budget: Arc<InboxBudget>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    live: HashMap<Arc<str>, Live>,
    unannounced: usize,
    ended: HashMap<Arc<str>, bool>,
    order: VecDeque<Arc<str>>,
    closed: bool,
    /// How often data streams broke.
    breaks: usize,
    /// By data stream: which break was its last, and what it said.
    broken: HashMap<StreamId, (usize, String)>,
}

struct Live {
    announced: bool,
    /// When it was first heard of.
    since: Instant,
    /// The breaks before it was announced.
    breaks: usize,
    /// The name of the bundle's data streams, once it is announced.
    stream: Arc<str>,
    /// The data stream that input came from before the bundle was announced.
    early: Option<StreamId>,
    inbox: Arc<Inbox>,
    deferred: Option<Deferred>,
    creating: Option<Creating>,
    running: Option<Running>,
}

/// A bundle that was announced, but is not worth a thread before its first input.
struct Deferred {
    bundle: BundleRequest,
    /// Of the plan that is ready for it.
    facts: Arc<PlanFacts>,
    _expectant: Expectant,
}

impl Live {
    fn new(budget: &Arc<InboxBudget>) -> Self {
        Live {
            announced: false,
            since: Instant::now(),
            breaks: 0,
            stream: Arc::default(),
            early: None,
            inbox: Inbox::new(budget),
            deferred: None,
            creating: None,
            running: None,
        }
    }
}

impl Live {
    /// Drops its input.
    fn close(self) {
        self.inbox
            .close(Error::new(ErrorKind::Cancelled, "the bundle has ended"));
    }
}

impl Table {
    /// Moves a bundle to those that have ended.
    fn end(&mut self, id: &str, failed: bool) -> Option<Live> {
        let (id, live) = match self.live.remove_entry(id) {
            Some((id, live)) => (id, Some(live)),
            None => (id.into(), None),
        };
        self.ended.insert(id.clone(), failed);
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ended.remove(&oldest);
        }
        live
    }
}

impl Instructions {
    pub(crate) fn new(budget: Arc<InboxBudget>) -> Self {
        Instructions {
            budget,
            table: Mutex::default(),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the runner wants a bundle. Call it on the reader of the control stream.
    ///
    /// Input that stands in the request is all that the bundle gets.
    ///
    /// Yields the bundle if it is to be run now. Where a plan is `ready`, a bundle without input is kept until some
    /// arrives: its thread would only go to sleep again.
    ///
    /// # Errors
    /// The id is in use, or was used a short while ago.
    pub(crate) fn announce(
        &self,
        id: &str,
        mut request: ProcessBundleRequest,
        ready: Option<Arc<PlanFacts>>,
    ) -> Result<Option<BundleRequest>> {
        let mut table = self.table();
        let twice = || Error::transport(format!("the runner used the instruction id {id:?} twice"));
        if table.ended.contains_key(id) {
            return Err(twice());
        }
        let breaks = table.breaks;
        let known = table.live.contains_key(id);
        if known {
            table.unannounced -= usize::from(!table.live[id].announced);
        } else {
            table.live.insert(id.into(), Live::new(&self.budget));
        }
        let Some(live) = table.live.get_mut(id) else {
            return Err(twice());
        };
        if std::mem::replace(&mut live.announced, true) {
            return Err(twice());
        }
        live.breaks = breaks;
        live.stream = request.data_stream_id.as_str().into();
        if let Some(elements) = request.elements.take() {
            let stretches = stretches(elements).map(|(_, stretch)| stretch);
            live.inbox.fill(stretches, not_whole());
        }
        let bundle = BundleRequest {
            instruction: id.into(),
            request,
            inbox: live.inbox.clone(),
        };
        if let Some(facts) = ready
            && live.inbox.is_untouched()
        {
            live.deferred = Some(Deferred {
                bundle,
                facts,
                _expectant: live.inbox.expect(),
            });
            return Ok(None);
        }
        Ok(Some(bundle))
    }

    /// Where input of a bundle goes that comes from a data stream, and the bundle if it waited for that; `None` if it
    /// has ended, and its input is to be dropped.
    pub(crate) fn arrival(
        &self,
        id: &str,
        stream: &StreamId,
    ) -> Option<(Arc<Inbox>, Option<BundleRequest>)> {
        let mut table = self.table();
        if let Some(live) = table.live.get_mut(id) {
            let deferred = live.deferred.take().map(|deferred| deferred.bundle);
            return Some((live.inbox.clone(), deferred));
        }
        if table.closed || table.ended.contains_key(id) || table.unannounced >= MAX_UNANNOUNCED {
            return None;
        }
        let mut live = Live::new(&self.budget);
        live.early = Some(stream.clone());
        let inbox = live.inbox.clone();
        table.live.insert(id.into(), live);
        table.unannounced += 1;
        Some((inbox, None))
    }

    /// Records that a bundle's plan is being made.
    pub(crate) fn create(&self, id: &str, creating: Creating) {
        if let Some(live) = self.table().live.get_mut(id) {
            live.creating = Some(creating);
        }
    }

    /// Records that a bundle can be asked about. If a stream that it reads from broke since it was announced, input may
    /// have gone down with it: then no more can come.
    pub(crate) fn run(&self, id: &str, running: Running) {
        let mut table = self.table();
        let Table { live, broken, .. } = &mut *table;
        let Some(live) = live.get_mut(id) else { return };
        let breaks = broken.iter().filter(|(stream, (number, _))| {
            *number > live.breaks
                && stream.name == live.stream
                && running.facts.reads_from(&stream.endpoint)
        });
        for (_, (_, why)) in breaks {
            live.inbox.cut_off(Error::transport(why.as_str()));
        }
        live.creating = None;
        live.running = Some(running);
    }

    /// Records that a bundle has ended. Its input is dropped.
    pub(crate) fn end(&self, id: &str, failed: bool) {
        let live = self.table().end(id, failed);
        if let Some(live) = live {
            live.close();
        }
    }

    /// Drops input that has waited too long for its bundle. Yields of how many bundles.
    pub(crate) fn drop_orphans(&self, now: Instant) -> usize {
        let mut table = self.table();
        let is_orphan =
            |live: &Live| !live.announced && now.saturating_duration_since(live.since) >= ORPHANED;
        let orphans = table.live.iter().filter(|(_, live)| is_orphan(live));
        let orphans: Vec<Arc<str>> = orphans.map(|(id, _)| id.clone()).collect();
        table.unannounced -= orphans.len();
        let dropped: Vec<_> = orphans.iter().map(|id| table.end(id, true)).collect();
        drop(table);
        dropped.into_iter().flatten().for_each(Live::close);
        orphans.len()
    }

    /// What is known of a bundle.
    pub(crate) fn get(&self, id: &str) -> Known {
        let table = self.table();
        match table.live.get(id) {
            Some(Live {
                running: Some(running),
                ..
            }) => Known::Running(running.clone()),
            Some(_) => Known::Nothing,
            None if table.ended.get(id) == Some(&true) => Known::Failed,
            None => Known::Nothing,
        }
    }

    /// All bundles that have a thread.
    pub(crate) fn works(&self) -> Vec<Work> {
        let table = self.table();
        let works = table.live.iter().filter_map(|(id, live)| {
            let stage = match (&live.running, &live.creating) {
                (Some(running), _) => Stage::Running(running.clone()),
                (None, Some(creating)) => Stage::Creating(creating.clone()),
                (None, None) => return None,
            };
            Some(Work {
                instruction: id.clone(),
                stage,
            })
        });
        works.collect()
    }

    /// How many bundles there are, by what they wait for.
    pub(crate) fn census(&self) -> Census {
        let table = self.table();
        let count = |wanted: fn(&Live) -> bool| table.live.values().filter(|l| wanted(l)).count();
        Census {
            announced: count(|live| live.announced),
            deferred: count(|live| live.deferred.is_some()),
            early: count(|live| !live.announced),
        }
    }

    /// All bundles that run, with their ids.
    pub(crate) fn running(&self) -> Vec<(Arc<str>, Running)> {
        let table = self.table();
        table
            .live
            .iter()
            .filter_map(|(id, live)| Some((id.clone(), live.running.clone()?)))
            .collect()
    }

    /// How many bundles were announced and have not ended.
    pub(crate) fn unfinished(&self) -> usize {
        self.table()
            .live
            .values()
            .filter(|live| live.announced)
            .count()
    }

    /// How many bundles have not ended, whether they were announced or only have input.
    pub(crate) fn live(&self) -> usize {
        self.table().live.len()
    }

    /// Lets the bundles that read from a data stream have what came, and nothing more. Yields those that waited for
    /// their first input: they are to be run, to learn that none will come.
    pub(crate) fn cut_off(
        &self,
        stream: &StreamId,
        error: impl Fn() -> Error,
    ) -> Vec<BundleRequest> {
        let mut table = self.table();
        table.breaks += 1;
        let last = (table.breaks, error().message().to_owned());
        table.broken.insert(stream.clone(), last);
        let mut deferred = Vec::new();
        for live in table.live.values_mut() {
            // What came early came in part only.
            if !live.announced && live.early.as_ref() == Some(stream) {
                live.inbox.close(error());
            }
            let running = live.running.as_ref().map(|running| &running.facts);
            let facts = running.or(live.deferred.as_ref().map(|deferred| &deferred.facts));
            if live.stream == stream.name
                && facts.is_some_and(|facts| facts.reads_from(&stream.endpoint))
            {
                live.inbox.cut_off(error());
                deferred.extend(live.deferred.take().map(|deferred| deferred.bundle));
            }
        }
        deferred
    }

    /// Closes all inboxes: their bundles fail when they want more input.
    pub(crate) fn close(&self, why: &str) {
        let mut table = self.table();
        table.closed = true;
        for live in table.live.values_mut() {
            live.deferred = None;
            live.inbox.close(Error::new(ErrorKind::Cancelled, why));
        }
    }
}

#[cold]
fn not_whole() -> Error {
    Error::transport(
        "the runner embedded the bundle's input in its request, but not the ends of all of it",
    )
}

#[cfg(test)]
mod tests {
    use beam_proto::fnexec::ProcessBundleDescriptor;

    use super::*;
    use crate::dofn::MetricSet;
    use crate::exec::BundleGate;
    use crate::harness::metrics::ShortIds;
    use crate::model::descriptor::PlanSpec;

    fn instructions() -> Instructions {
        Instructions::new(InboxBudget::new(1 << 20))
    }

    fn stream(endpoint: &str) -> StreamId {
        StreamId {
            endpoint: endpoint.into(),
            name: "".into(),
        }
    }

    fn announce(instructions: &Instructions, id: &str) -> Result<Option<BundleRequest>> {
        instructions.announce(id, ProcessBundleRequest::default(), None)
    }

    #[test]
    fn input_may_come_first() {
        let instructions = instructions();
        let (early, deferred) = instructions.arrival("1", &stream("here:1")).expect("kept");
        assert!(deferred.is_none());
        let announced = announce(&instructions, "1")
            .expect("new")
            .expect("to be run");
        assert!(Arc::ptr_eq(&early, &announced.inbox));
        assert_eq!(instructions.unfinished(), 1);
    }

    /// The facts of a plan without transforms.
    fn facts() -> Arc<PlanFacts> {
        let spec = PlanSpec::try_from(ProcessBundleDescriptor::default()).expect("valid");
        let metrics = PlanMetrics {
            user: MetricSet::default(),
            collections: Vec::new(),
            times: Vec::new(),
            sources: Vec::new(),
            hands: Vec::new(),
            hand_of: Vec::new(),
            gate: BundleGate::default(),
        };
        let ids = ShortIds::new("1");
        Arc::new(PlanFacts::new(Arc::new(spec), &metrics, &ids))
    }

    #[test]
    fn a_bundle_may_wait_for_its_first_input() {
        let instructions = instructions();
        let request = ProcessBundleRequest::default();
        let deferred = instructions.announce("1", request, Some(facts()));
        assert!(deferred.expect("new").is_none());
        let lost = || Error::transport("lost");
        assert!(
            instructions
                .cut_off(&stream("elsewhere:1"), lost)
                .is_empty()
        );
        let (_, bundle) = instructions.arrival("1", &stream("here:1")).expect("kept");
        assert_eq!(&*bundle.expect("waited").instruction, "1");
        assert!(
            instructions
                .arrival("1", &stream("here:1"))
                .expect("kept")
                .1
                .is_none()
        );
    }

    #[test]
    fn input_of_ended_bundles_is_dropped() {
        let instructions = instructions();
        announce(&instructions, "1").expect("new");
        instructions.end("1", true);
        assert!(instructions.arrival("1", &stream("here:1")).is_none());
        assert!(matches!(instructions.get("1"), Known::Failed));
        assert!(matches!(instructions.get("2"), Known::Nothing));
        assert_eq!(instructions.unfinished(), 0);
    }

    #[test]
    fn input_does_not_wait_for_ever_for_its_bundle() {
        let instructions = instructions();
        announce(&instructions, "announced").expect("new");
        let (inbox, _) = instructions
            .arrival("orphan", &stream("here:1"))
            .expect("kept");
        let now = Instant::now();
        assert_eq!(instructions.drop_orphans(now), 0);
        assert_eq!(instructions.drop_orphans(now + ORPHANED), 1);
        assert!(inbox.pop().is_err());
        assert!(instructions.arrival("orphan", &stream("here:1")).is_none());
        assert_eq!(instructions.live(), 1);
        assert_eq!(instructions.table().unannounced, 0);
    }

    #[test]
    fn a_break_concerns_streams_of_its_name_only() {
        let instructions = instructions();
        let named = |name: &str| StreamId {
            name: name.into(),
            ..stream("here:1")
        };
        let (one, _) = instructions.arrival("1", &named("one")).expect("kept");
        let (two, _) = instructions.arrival("2", &named("two")).expect("kept");
        instructions.cut_off(&named("one"), || Error::transport("lost"));
        assert_eq!(one.pop().expect_err("cut").message(), "lost");
        assert!(two.is_untouched());
        assert_eq!(stream("here:1").to_string(), "the data stream of here:1");
        assert_eq!(
            named("one").to_string(),
            "the data stream \"one\" of here:1"
        );
    }

    #[test]
    fn an_id_is_used_once() {
        let instructions = instructions();
        announce(&instructions, "1").expect("new");
        let error = announce(&instructions, "1").map(drop).expect_err("twice");
        assert!(error.to_string().contains("twice"));
        instructions.end("1", false);
        assert!(announce(&instructions, "1").is_err());
    }

    #[test]
    fn only_so_many_are_remembered() {
        let instructions = instructions();
        for n in 0..=REMEMBERED {
            let id = n.to_string();
            announce(&instructions, &id).expect("new");
            instructions.end(&id, true);
        }
        assert!(matches!(instructions.get("0"), Known::Nothing));
        assert!(matches!(instructions.get("1"), Known::Failed));
    }
}
