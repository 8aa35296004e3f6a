//! The order in which timers fire within a bundle: by table, and by seeds against a model that takes its time. And what
//! becomes of records.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::{Fire, LocalTimers, TimerPlace, TimerStreams};
use crate::dofn::timer::{TimerRules, TimerWrites};
use crate::dofn::{Clock, Fired, Scope, TimeDomain};
use crate::element::{Coder, Element, Firing, Header, Pane, Timestamp, coder::urn};
use crate::error::Result;
use crate::exec::activity::Activity;
use crate::exec::link::Outbox;
use crate::model::descriptor::TimerSpec;

const EVENT: usize = 0;
const OTHER_EVENT: usize = 1;
const PROCESSING: usize = 2;

const DOMAINS: [TimeDomain; 3] = [
    TimeDomain::EventTime,
    TimeDomain::EventTime,
    TimeDomain::ProcessingTime,
];

fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn at(millis: i64) -> Option<Firing> {
    Some(Firing {
        at: ms(millis),
        hold: ms(millis),
        pane: Pane::NO_FIRING,
    })
}

const SCOPE: Scope<'static> = Scope {
    key: b"k",
    window: b"w",
};

/// What fires before a timer of a family at a time, when the clock is at 100: families, tags, and times.
fn due(timers: &mut LocalTimers, family: usize, at: i64) -> Vec<(usize, String, i64)> {
    let mut due = Vec::new();
    while let Some(((family, tag), firing)) =
        timers.take_due(&SCOPE, DOMAINS[family], ms(at), ms(100))
    {
        due.push((family, tag.into(), firing.at.millis()));
    }
    due
}

#[test]
fn what_fires_before_a_timer() {
    type Writes = &'static [(usize, &'static str, Option<i64>)];
    type Due = &'static [(usize, &'static str, i64)];
    let cases: [(&str, Writes, usize, Due); 9] = [
        ("nothing was set", &[], EVENT, &[]),
        (
            "earlier, at the same time, later",
            &[
                (EVENT, "c", Some(51)),
                (EVENT, "b", Some(50)),
                (OTHER_EVENT, "a", Some(7)),
            ],
            EVENT,
            &[(OTHER_EVENT, "a", 7), (EVENT, "b", 50)],
        ),
        (
            "set and cleared",
            &[(EVENT, "a", Some(7)), (EVENT, "a", None)],
            EVENT,
            &[],
        ),
        (
            "moved earlier",
            &[(EVENT, "a", Some(70)), (EVENT, "a", Some(7))],
            EVENT,
            &[(EVENT, "a", 7)],
        ),
        (
            "moved later",
            &[(EVENT, "a", Some(7)), (EVENT, "a", Some(70))],
            EVENT,
            &[],
        ),
        (
            "cleared and set",
            &[(EVENT, "a", None), (EVENT, "a", Some(7))],
            EVENT,
            &[(EVENT, "a", 7)],
        ),
        (
            "the wall clock before the watermark",
            &[
                (EVENT, "a", Some(7)),
                (PROCESSING, "late", Some(101)),
                (PROCESSING, "b", Some(100)),
            ],
            EVENT,
            &[(PROCESSING, "b", 100), (EVENT, "a", 7)],
        ),
        (
            "the wall clock says nothing of the watermark",
            &[(EVENT, "a", Some(7)), (PROCESSING, "b", Some(8))],
            PROCESSING,
            &[(PROCESSING, "b", 8)],
        ),
        (
            "families at one time",
            &[(OTHER_EVENT, "", Some(7)), (EVENT, "", Some(7))],
            EVENT,
            &[(EVENT, "", 7), (OTHER_EVENT, "", 7)],
        ),
    ];
    for (case, writes, family, expected) in cases {
        let mut timers = LocalTimers::new(DOMAINS.to_vec());
        for (family, tag, time) in writes {
            timers.write(&SCOPE, *family, tag, time.and_then(at));
        }
        let expected: Vec<_> = expected
            .iter()
            .map(|(family, tag, at)| (*family, (*tag).to_owned(), *at))
            .collect();
        assert_eq!(due(&mut timers, family, 50), expected, "{case}");
        assert_eq!(due(&mut timers, family, 50), [], "{case}, again");
    }
}

#[test]
fn keys_and_windows_keep_apart() {
    let mut timers = LocalTimers::new(DOMAINS.to_vec());
    let others = [
        Scope {
            key: b"k",
            window: b"",
        },
        Scope {
            key: b"",
            window: b"kw",
        },
        Scope {
            key: b"kw",
            window: b"",
        },
    ];
    for other in &others {
        timers.write(other, EVENT, "", at(1));
    }
    assert_eq!(due(&mut timers, EVENT, 50), []);
    assert!(!timers.is_overwritten(&SCOPE, EVENT, ""));
    assert!(
        others
            .iter()
            .all(|other| timers.is_overwritten(other, EVENT, ""))
    );
    assert!(!timers.is_overwritten(&others[0], OTHER_EVENT, ""));
    assert!(!timers.is_overwritten(&others[0], EVENT, "tag"));
    assert_eq!(timers.writes().count(), 3);
    timers.clear();
    assert_eq!(timers.writes().count(), 0);
    assert!(!timers.is_overwritten(&others[0], EVENT, ""));
}

/// Numbers that a seed fixes.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// All that was written, in order; searched from one end to the other for each answer.
#[derive(Default)]
struct Model(Vec<(u8, usize, String, Option<i64>)>);

impl Model {
    fn last(&self) -> BTreeMap<(u8, usize, String), Option<i64>> {
        let writes = self.0.iter();
        writes
            .map(|(key, family, tag, at)| ((*key, *family, tag.clone()), *at))
            .collect()
    }

    fn take_due(
        &mut self,
        key: u8,
        domain: TimeDomain,
        at: i64,
        clock: i64,
    ) -> Option<(usize, String, i64)> {
        let is_due = |family: usize, time: i64| match (domain, DOMAINS[family]) {
            (TimeDomain::EventTime, TimeDomain::ProcessingTime) => time <= clock,
            (TimeDomain::ProcessingTime, TimeDomain::EventTime) => false,
            _ => time <= at,
        };
        let mut due: Vec<_> = self
            .last()
            .into_iter()
            .filter_map(|((of, family, tag), time)| {
                let time = time?;
                let domain = DOMAINS[family] == TimeDomain::EventTime;
                (of == key && is_due(family, time)).then_some((domain, time, family, tag))
            })
            .collect();
        due.sort();
        let (_, time, family, tag) = due.into_iter().next()?;
        self.0.push((key, family, tag.clone(), None));
        Some((family, tag, time))
    }
}

#[test]
fn any_writes_and_firings() {
    for seed in 1..=200u64 {
        let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut timers = LocalTimers::new(DOMAINS.to_vec());
        let mut model = Model::default();
        for step in 0..60 {
            let key = numbers.below(2) as u8;
            let scope = Scope {
                key: &[key],
                window: b"w",
            };
            let family = numbers.below(3) as usize;
            let tag = ["", "a", "b"][numbers.below(3) as usize];
            let time = numbers.below(20) as i64;
            match numbers.below(10) {
                0..5 => {
                    timers.write(&scope, family, tag, at(time));
                    model.0.push((key, family, tag.into(), Some(time)));
                }
                5..7 => {
                    timers.write(&scope, family, tag, None);
                    model.0.push((key, family, tag.into(), None));
                }
                _ => {
                    let clock = numbers.below(20) as i64;
                    let domain = DOMAINS[family];
                    loop {
                        let due = timers.take_due(&scope, domain, ms(time), ms(clock));
                        let due = due.map(|((family, tag), firing)| {
                            (family, tag.into(), firing.at.millis())
                        });
                        let expected = model.take_due(key, domain, time, clock);
                        assert_eq!(due, expected, "seed {seed}, step {step}");
                        if due.is_none() {
                            break;
                        }
                    }
                    assert_eq!(
                        timers.is_overwritten(&scope, family, tag),
                        model.last().contains_key(&(key, family, tag.into())),
                        "seed {seed}, step {step}"
                    );
                }
            }
        }
        let mut writes: Vec<_> = timers
            .writes()
            .map(|(scope, family, tag, firing)| {
                let at = firing.map(|firing| firing.at.millis());
                ((scope.key[0], family, tag.to_owned()), at)
            })
            .collect();
        writes.sort();
        let expected: Vec<_> = model.last().into_iter().collect();
        assert_eq!(writes, expected, "seed {seed}");
    }
}

/// A clock that stands at the beginning of 1970.
struct Stopped;

impl Clock for Stopped {
    fn now_millis(&self) -> i64 {
        0
    }
}

/// What was sent, by output, and how often an output was closed.
#[derive(Default)]
struct Sent(Mutex<BTreeMap<usize, (Vec<u8>, usize)>>);

impl Outbox for Sent {
    fn send(&self, output: usize, data: Bytes) -> Result<()> {
        let mut sent = self.0.lock().expect("not poisoned");
        sent.entry(output).or_default().0.extend_from_slice(&data);
        Ok(())
    }

    fn close(&self, output: usize, data: Bytes) -> Result<()> {
        self.send(output, data)?;
        let mut sent = self.0.lock().expect("not poisoned");
        sent.entry(output).or_default().1 += 1;
        Ok(())
    }
}

/// What has fired: keys, families, and the times of what was emitted.
type Log = Arc<Mutex<Vec<(Vec<u8>, usize, Timestamp)>>>;

/// A function that notes what fires, and sets each timer again a second later.
struct Again {
    fired: Log,
    local: Arc<Mutex<LocalTimers>>,
}

impl Fire for Again {
    fn fire(
        &mut self,
        scope: &Scope<'_>,
        family: usize,
        fired: Fired<'_>,
        header: &Header,
        moment: Option<Timestamp>,
    ) -> Result<()> {
        assert_eq!(moment, Some(fired.at));
        let mut all = self.fired.lock().expect("not poisoned");
        all.push((scope.key.to_vec(), family, header.timestamp));
        let later = at(fired.at.millis() + 1_000);
        let mut local = self.local.lock().expect("not poisoned");
        local.write(scope, family, fired.tag, later);
        Ok(())
    }
}

/// The timers of [`Again`], whose keys are numbers, which stand in timers after their length.
struct Streams {
    streams: TimerStreams,
    fired: Log,
    sent: Arc<Sent>,
}

impl Streams {
    fn new() -> Self {
        let key = Coder::length_prefix(i64::coder());
        let window = Coder::standard(urn::GLOBAL_WINDOW, []);
        let specs = ["a", "b"].map(|family| TimerSpec {
            family: family.into(),
            domain: TimeDomain::EventTime,
            coder: Coder::standard(urn::TIMER, [key.clone(), window.clone()]),
            on_window_expiration: false,
        });
        let local = Arc::new(Mutex::new(LocalTimers::new(vec![TimeDomain::EventTime; 2])));
        let (fired, sent) = (Arc::default(), Arc::<Sent>::default());
        let function = Again {
            fired: Arc::clone(&fired),
            local: local.clone(),
        };
        let place = TimerPlace {
            here: Activity::default().here(0),
            outbox: sent.clone(),
            clock: Arc::new(Stopped),
            first_output: 7,
            rules: TimerRules {
                end_of: |_| Ok(Timestamp::GLOBAL_WINDOW_END),
                allowed_lateness: Duration::ZERO,
            },
        };
        let function = Box::new(function);
        let streams = TimerStreams::new(&specs, &i64::coder(), local, function, place);
        Streams {
            streams: streams.expect("coders of one type"),
            fired,
            sent,
        }
    }
}

/// A timer of the key 5 at so many seconds.
fn record(seconds: u8) -> Vec<u8> {
    let mut record = vec![1, 5, 0, 0, 0, 0, 1, 0];
    for _ in 0..2 {
        ms(i64::from(seconds) * 1_000).encode(&mut record);
    }
    record.push(0x0f);
    record
}

#[test]
fn keys_of_records_are_those_of_the_input() {
    for cut in 0..record(3).len() {
        let mut timers = Streams::new();
        timers.streams.start();
        let bytes = record(3);
        for part in [&bytes[..cut], &bytes[cut..]] {
            let part = Bytes::copy_from_slice(part);
            timers.streams.feed(1, part).expect("a record");
        }
        timers.streams.finish().expect("a whole record");
        let fired = timers.fired.lock().expect("not poisoned").clone();
        assert_eq!(fired, [(vec![5], 1, ms(3_000))]);
        let sent = timers.sent.0.lock().expect("not poisoned").clone();
        assert_eq!(
            sent,
            BTreeMap::from([(7, (vec![], 1)), (8, (record(4), 1))])
        );
    }
}

#[test]
fn records_that_are_not_whole_or_not_set_are_errors() {
    let mut timers = Streams::new();
    timers.streams.start();
    let bytes = Bytes::from(record(3));
    timers.streams.feed(0, bytes.slice(..9)).expect("goes on");
    let error = timers.streams.finish().expect_err("does not go on");
    assert_eq!(
        error.to_string(),
        "the timers end within a record (timer \"a\")"
    );

    let mut timers = Streams::new();
    timers.streams.start();
    for (wrong, message) in [
        (
            &[1, 5, 0, 0, 0, 0, 1, 1][..],
            "the runner sent a timer that is cleared (timer \"a\")",
        ),
        (
            &[1, 5, 0, 0, 0, 0, 0, 1],
            "the runner sent a timer that is cleared (timer \"a\")",
        ),
        (
            &[1, 5, 0, 0, 0, 0, 1, 2],
            "the clear bit of a timer is 2, not 0 or 1 (timer \"a\")",
        ),
    ] {
        let error = timers.streams.feed(0, Bytes::copy_from_slice(wrong));
        assert_eq!(error.expect_err("wrong").to_string(), message);
    }
    let mut nowhere = record(3);
    nowhere[6] = 0;
    let error = timers.streams.feed(0, nowhere.into());
    assert_eq!(
        error.expect_err("wrong").to_string(),
        "the runner sent a timer that is in no window (timer \"a\")"
    );
}
