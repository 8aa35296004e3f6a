//! The status page: what a person on call wants to know of a worker, as text.
//!
//! [`Page`] is gathered without waiting for anything that user code could hold up, and written by plain formatting.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::work::clock;

/// Bundles that are described one by one; the others are counted.
const DESCRIBED: usize = 10;

/// All that the page says.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) worker: String,
    pub(super) up: Duration,
    pub(super) resident: Option<u64>,
    pub(super) limit: Option<u64>,
    pub(super) threads: Option<u64>,
    /// Bundles that have a thread.
    pub(super) bundles: Vec<BundleLine>,
    pub(super) census: Census,
    pub(super) input: InputLine,
    /// State requests that wait for the runner's answer.
    pub(super) state_calls: usize,
    /// Bytes in the cache of state, and how many there may be.
    pub(super) cache: (u64, u64),
    pub(super) streams: Vec<StreamLine>,
    /// Idle plans by descriptor.
    pub(super) idle_plans: BTreeMap<String, usize>,
    pub(super) descriptors: usize,
    /// The latest first.
    pub(super) failures: Vec<FailureLine>,
    pub(super) failed: u64,
}

/// How many bundles there are, by what they wait for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Census {
    /// Announced, and not ended.
    pub(crate) announced: usize,
    /// Of these: without a thread until input comes.
    pub(crate) deferred: usize,
    /// Not announced, but with input.
    pub(crate) early: usize,
}

/// A bundle that has a thread.
#[derive(Debug, Clone)]
pub(super) struct BundleLine {
    pub(super) instruction: String,
    pub(super) transform: Option<String>,
    /// In the words of [`Work::describe`](super::work::Work::describe), without leading blanks.
    pub(super) place: String,
    /// How long it has been there.
    pub(super) held: Duration,
    pub(super) elements: Option<u64>,
    /// Bytes of input that wait; `None` where that cannot be told without waiting.
    pub(super) queued: Option<usize>,
    pub(super) thread: String,
}

/// What waits to be processed.
#[derive(Debug, Default)]
pub(super) struct InputLine {
    /// What one bundle may hold in memory.
    pub(super) share: usize,
    /// Bundle threads that wait for input.
    pub(super) starving: usize,
    /// Bundles without a thread that do.
    pub(super) expectant: usize,
}

/// One stream to the runner.
#[derive(Debug, Clone)]
pub(super) struct StreamLine {
    pub(super) name: String,
    pub(super) state: StreamState,
}

/// How a stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StreamState {
    /// It is being opened.
    Opening,
    /// It stands; so many bytes wait to be sent.
    Open(usize),
    /// It is gone, and why.
    Ended(String),
}

/// A bundle that failed.
#[derive(Debug)]
pub(super) struct FailureLine {
    pub(super) ago: Duration,
    pub(super) instruction: String,
    pub(super) error: String,
}

/// Bytes, in words.
struct Size(u64);

impl Display for Size {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            small @ 0..1024 => write!(f, "{small} B"),
            bytes @ ..0x10_0000 => write!(f, "{:.1} KiB", bytes as f64 / 1024.0),
            bytes => write!(f, "{:.1} MiB", bytes as f64 / (1 << 20) as f64),
        }
    }
}

/// What may be unknown.
fn known<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "unknown".into(), |value| value.to_string())
}

impl Display for Page {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let build = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        writeln!(
            f,
            "ferrobeam {} for Beam 2.77, {}-{}, {build} build\nworker {:?}, up {}\n\
             memory: {} resident, limit {}\nthreads: {}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH,
            std::env::consts::OS,
            self.worker,
            clock(self.up),
            known(self.resident.map(Size)),
            self.limit
                .map_or_else(|| "none".into(), |limit| Size(limit).to_string()),
            known(self.threads),
        )?;
        self.write_bundles(f)?;
        writeln!(
            f,
            "\ninput: up to {} in memory for each bundle; {} bundle threads wait for input, and {} bundles without a thread\n\
             state: {} requests wait for the runner, {} of {} are cached",
            Size(self.input.share as u64),
            self.input.starving,
            self.input.expectant,
            self.state_calls,
            Size(self.cache.0),
            Size(self.cache.1)
        )?;
        writeln!(f, "\nstreams:")?;
        for StreamLine { name, state } in &self.streams {
            match state {
                StreamState::Opening => writeln!(f, "  {name}: being opened")?,
                StreamState::Open(queued) => {
                    writeln!(f, "  {name}: open, {} to be sent", Size(*queued as u64))?;
                }
                StreamState::Ended(why) => writeln!(f, "  {name}: ended: {why}")?,
            }
        }
        let idle: usize = self.idle_plans.values().sum();
        writeln!(
            f,
            "\nplans: {} descriptors, {idle} idle plans",
            self.descriptors
        )?;
        for (descriptor, count) in &self.idle_plans {
            writeln!(f, "  {descriptor:?}: {count} idle")?;
        }
        writeln!(f, "\nfailures: {}", self.failed)?;
        for FailureLine {
            ago,
            instruction,
            error,
        } in &self.failures
        {
            writeln!(
                f,
                "  {} ago, instruction {instruction:?}: {error}",
                clock(*ago)
            )?;
        }
        Ok(())
    }
}

impl Page {
    fn write_bundles(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Census {
            announced,
            deferred,
            early,
        } = self.census;
        writeln!(
            f,
            "\nbundles: {announced}; {} have a thread, {deferred} wait for their first input; {early} have input and are \
             not announced",
            self.bundles.len()
        )?;
        let mut longest: Vec<_> = self.bundles.iter().collect();
        longest.sort_by_key(|bundle| std::cmp::Reverse(bundle.held));
        for bundle in longest.iter().take(DESCRIBED) {
            writeln!(
                f,
                "  instruction {:?} transform {:?} {}, {:.3} s in place, {} elements in, {} queued\n    on {}",
                bundle.instruction,
                bundle.transform.as_deref().unwrap_or("none"),
                bundle.place,
                bundle.held.as_secs_f64(),
                known(bundle.elements),
                known(bundle.queued.map(|bytes| Size(bytes as u64))),
                bundle.thread
            )?;
        }
        if longest.len() > DESCRIBED {
            writeln!(f, "  and {} more", longest.len() - DESCRIBED)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(n: u64) -> BundleLine {
        BundleLine {
            instruction: format!("i{n}"),
            transform: Some("do".into()),
            place: "for PTransform{name=Do, state=process-msecs}".into(),
            held: Duration::from_millis(n * 1001),
            elements: Some(17),
            queued: Some(2048),
            thread: "bundle-1 (thread 9): running, 1.00 s of CPU".into(),
        }
    }

    #[test]
    fn the_page_says_it_all() {
        let page = Page {
            worker: "w".into(),
            up: Duration::from_secs(61),
            resident: Some(3 << 20),
            limit: None,
            threads: Some(12),
            bundles: (1..=12).map(bundle).collect(),
            census: Census {
                announced: 14,
                deferred: 2,
                early: 1,
            },
            input: InputLine {
                share: 32 << 20,
                starving: 3,
                expectant: 2,
            },
            state_calls: 5,
            cache: (3 << 20, 100 << 20),
            streams: vec![
                StreamLine {
                    name: "data here:1".into(),
                    state: StreamState::Open(100),
                },
                StreamLine {
                    name: "state here:2".into(),
                    state: StreamState::Ended("gone".into()),
                },
            ],
            idle_plans: BTreeMap::from([("d".to_owned(), 2)]),
            descriptors: 1,
            failures: vec![FailureLine {
                ago: Duration::from_secs(9),
                instruction: "i0".into(),
                error: "told to fail".into(),
            }],
            failed: 3,
        };
        let text = page.to_string();
        for wanted in [
            "worker \"w\", up 01m01s\nmemory: 3.0 MiB resident, limit none\nthreads: 12\n",
            "bundles: 14; 12 have a thread, 2 wait for their first input; 1 have input and are not announced\n",
            "  instruction \"i12\" transform \"do\" for PTransform{name=Do, state=process-msecs}, 12.012 s in place, 17 \
             elements in, 2.0 KiB queued\n    on bundle-1 (thread 9): running, 1.00 s of CPU\n",
            "  and 2 more\n",
            "input: up to 32.0 MiB in memory for each bundle; 3 bundle threads wait for input, and 2 bundles without a \
             thread\nstate: 5 requests wait for the runner, 3.0 MiB of 100.0 MiB are cached\n",
            "  data here:1: open, 100 B to be sent\n  state here:2: ended: gone\n",
            "plans: 1 descriptors, 2 idle plans\n  \"d\": 2 idle\n",
            "failures: 3\n  00m09s ago, instruction \"i0\": told to fail\n",
        ] {
            assert!(text.contains(wanted), "{wanted}\nis missing in\n{text}");
        }
        let at = |name: &str| text.find(&format!("{name:?} transform"));
        assert!(at("i12") < at("i3"), "the longest come first");
        assert_eq!(at("i2"), None, "only ten are described");
    }
}
