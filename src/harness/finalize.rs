//! Callbacks of bundles that have succeeded, until the runner says that they are committed.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dofn::{Clock, Commit};
use crate::exec::from_panic;

/// How many callbacks are kept, of all bundles. A runner that never finalizes must not fill the memory with them.
const MAX_COMMITS: usize = 100_000;

/// The callbacks of all bundles that the runner may still finalize.
///
/// Whatever leaves it holds user code, which must be called, and even dropped, on threads that may wait for it.
pub(crate) struct Finalizers {
    clock: Arc<dyn Clock>,
    max_commits: usize,
    table: Mutex<Table>,
    /// Requests that are being worked on.
    working: AtomicUsize,
}

#[derive(Default)]
struct Table {
    /// In the order in which they ended.
    bundles: BTreeMap<u64, Kept>,
    numbers: HashMap<Arc<str>, u64>,
    next: u64,
    commits: usize,
}

struct Kept {
    id: Arc<str>,
    commits: Vec<Commit>,
    is_answered: bool,
}

/// The callbacks that one request is about.
pub(crate) struct FinalizeRequest {
    /// The request's own id.
    pub(crate) instruction: String,
    /// The bundle's id; empty for all bundles.
    pub(crate) bundle: String,
    pub(crate) commits: Vec<Commit>,
}

impl Finalizers {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Finalizers {
            clock,
            max_commits: MAX_COMMITS,
            table: Mutex::default(),
            working: AtomicUsize::new(0),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the callbacks of a bundle that has succeeded, before its answer is sent: the request may follow at once.
    /// Yields those that there is no room for, the oldest.
    pub(crate) fn keep(&self, id: &Arc<str>, commits: Vec<Commit>) -> Vec<Commit> {
        if commits.is_empty() {
            return commits;
        }
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        table.commits += commits.len();
        table.numbers.insert(id.clone(), number);
        let kept = Kept {
            id: id.clone(),
            commits,
            is_answered: false,
        };
        table.bundles.insert(number, kept);
        let mut surplus = Vec::new();
        while table.commits > self.max_commits {
            let excess = table.commits - self.max_commits;
            let Some(mut oldest) = table.bundles.first_entry() else {
                break;
            };
            let commits = &mut oldest.get_mut().commits;
            let count = excess.min(commits.len());
            surplus.extend(commits.drain(..count));
            if commits.is_empty() {
                let oldest = oldest.remove();
                table.numbers.remove(&oldest.id);
            }
            table.commits -= count;
        }
        surplus
    }

    /// Says that the runner has the answer of a bundle.
    pub(crate) fn answered(&self, id: &str) {
        let mut table = self.table();
        let Some(number) = table.numbers.get(id).copied() else {
            return;
        };
        if let Some(kept) = table.bundles.get_mut(&number) {
            kept.is_answered = true;
        }
    }

    /// Takes the callbacks of a bundle; none if it is unknown, was finalized before, or has none left.
    ///
    /// Flink says no id at all. It finalizes after a checkpoint, which covers what was answered before it, so the
    /// callbacks of all bundles that were answered are meant. One that was answered since the checkpoint cannot be told
    /// apart; its callbacks come early, as they would if it had been a little faster. To ignore the request would mean
    /// that no callback ever ran on Flink.
    pub(crate) fn take(&self, bundle: &str) -> Vec<Commit> {
        let mut table = self.table();
        let numbers: Vec<u64> = if bundle.is_empty() {
            let answered = table.bundles.iter().filter(|(_, kept)| kept.is_answered);
            answered.map(|(number, _)| *number).collect()
        } else {
            table.numbers.get(bundle).copied().into_iter().collect()
        };
        let mut taken = Vec::new();
        for number in numbers {
            if let Some(kept) = table.bundles.remove(&number) {
                table.numbers.remove(&kept.id);
                table.commits -= kept.commits.len();
                taken.extend(kept.commits);
            }
        }
        taken
    }

    /// Takes the callbacks that have expired.
    pub(crate) fn take_expired(&self) -> Vec<Commit> {
        let now = self.clock.now_millis();
        let mut table = self.table();
        let Table {
            bundles,
            numbers,
            commits,
            ..
        } = &mut *table;
        let mut expired = Vec::new();
        bundles.retain(|_, kept| {
            expired.extend(kept.commits.extract_if(.., |c| c.is_expired(now)));
            let has_some = !kept.commits.is_empty();
            if !has_some {
                numbers.remove(&kept.id);
            }
            has_some
        });
        *commits -= expired.len();
        expired
    }

    /// Takes all callbacks.
    pub(crate) fn take_all(&self) -> Vec<Commit> {
        let table = std::mem::take(&mut *self.table());
        let kept = table.bundles.into_values();
        kept.flat_map(|kept| kept.commits).collect()
    }

    /// Says that a request is on its way to a thread.
    pub(crate) fn begin(&self) {
        self.working.fetch_add(1, Ordering::SeqCst);
    }

    /// Says that a request was answered, or cannot be.
    pub(crate) fn end(&self) {
        self.working.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many requests are being worked on.
    pub(crate) fn working(&self) -> usize {
        self.working.load(Ordering::SeqCst)
    }

    /// Calls callbacks that have not expired: all of them, whatever becomes of the others.
    ///
    /// # Errors
    /// What went wrong in those that failed.
    pub(crate) fn call(&self, commits: Vec<Commit>) -> Result<(), String> {
        let count = commits.len();
        let mut failures = Vec::new();
        for commit in commits {
            let call = || {
                if commit.is_expired(self.clock.now_millis()) {
                    drop(commit);
                    return Ok(());
                }
                commit.run()
            };
            let outcome = catch_unwind(AssertUnwindSafe(call));
            let outcome = outcome.unwrap_or_else(|payload| Err(from_panic(payload)));
            failures.extend(outcome.err().map(|error| error.to_string()));
        }
        if failures.is_empty() {
            return Ok(());
        }
        let failed = failures.len();
        Err(format!(
            "{failed} of {count} callbacks failed after the commit: {}",
            failures.join("; ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;
    use std::time::Duration;

    use super::*;
    use crate::dofn::{Commits, MetricSet, Port, Services, StateKey, StatePort, Wiring};
    use crate::element::Page;
    use crate::error::{Error, Result};

    /// A clock that a test sets.
    #[derive(Default)]
    struct Hands(AtomicI64);

    impl Clock for Hands {
        fn now_millis(&self) -> i64 {
            self.0.load(Ordering::SeqCst)
        }
    }

    struct NoState;

    impl StatePort for NoState {
        fn get(&self, _key: &StateKey, _continuation: &bytes::Bytes) -> Result<Page> {
            Err(Error::user("there is none"))
        }

        fn append(&self, _key: &StateKey, _data: bytes::Bytes) -> Result<()> {
            Err(Error::user("there is none"))
        }

        fn clear(&self, _key: &StateKey) -> Result<()> {
            Err(Error::user("there is none"))
        }
    }

    struct Bench {
        hands: Arc<Hands>,
        finalizers: Finalizers,
        called: Arc<Mutex<Vec<&'static str>>>,
    }

    impl Bench {
        fn new(max_commits: usize) -> Self {
            let hands = Arc::new(Hands::default());
            let finalizers = Finalizers {
                max_commits,
                ..Finalizers::new(hands.clone())
            };
            Bench {
                hands,
                finalizers,
                called: Arc::default(),
            }
        }

        /// Ends a bundle that has registered callbacks under these names, to expire after so many milliseconds.
        fn bundle(&self, id: &str, callbacks: &[(&'static str, u64)]) -> usize {
            let commits = Commits::default();
            let services = Services {
                state: Arc::new(NoState),
                clock: self.hands.clone(),
                options: crate::dofn::OptionValues::default(),
                commits: commits.clone(),
            };
            let mut metrics = MetricSet::default();
            let mut wiring = Wiring::new("test", "test", &mut metrics, &services);
            wiring.add_after_commit();
            let port = <crate::dofn::AfterCommit as Port<()>>::wire(&mut wiring, "after");
            let mut port = port.expect("declared");
            for &(name, expiry) in callbacks {
                let called = self.called.clone();
                port.register(Duration::from_millis(expiry), move || {
                    called.lock().expect("no panic").push(name);
                    match name {
                        "fails" => Err(Error::user("told to fail")),
                        "panics" => panic!("told to panic"),
                        _ => Ok(()),
                    }
                });
            }
            let surplus = self.finalizers.keep(&id.into(), commits.take());
            self.finalizers.answered(id);
            surplus.len()
        }

        fn finalize(&self, id: &str) -> Result<(), String> {
            self.finalizers.call(self.finalizers.take(id))
        }

        fn called(&self) -> Vec<&'static str> {
            std::mem::take(&mut *self.called.lock().expect("no panic"))
        }
    }

    #[test]
    fn each_callback_is_called_once() {
        let bench = Bench::new(10);
        bench.bundle("1", &[("a", 5), ("b", 5)]);
        bench.bundle("2", &[("c", 5)]);
        assert_eq!(bench.finalize("1"), Ok(()));
        assert_eq!(bench.called(), ["a", "b"]);
        assert_eq!(bench.finalize("1"), Ok(()));
        assert_eq!(bench.finalize("never heard of"), Ok(()));
        assert_eq!(bench.called(), [""; 0]);
        assert_eq!(bench.finalize("2"), Ok(()));
        assert_eq!(bench.called(), ["c"]);
        assert_eq!(bench.finalizers.table().commits, 0);
    }

    #[test]
    fn what_has_expired_is_not_called() {
        let bench = Bench::new(10);
        bench.bundle("1", &[("soon", 5), ("later", 6)]);
        bench.bundle("2", &[("soon", 5)]);
        bench.hands.0.store(5, Ordering::SeqCst);
        assert_eq!(bench.finalizers.take_expired().len(), 2);
        assert_eq!(bench.finalizers.table().commits, 1);
        assert_eq!(bench.finalizers.table().bundles.len(), 1);
        let taken = bench.finalizers.take("1");
        bench.hands.0.store(6, Ordering::SeqCst);
        assert_eq!(bench.finalizers.call(taken), Ok(()));
        assert_eq!(bench.called(), [""; 0]);
    }

    #[test]
    fn one_failure_hinders_no_other() {
        let bench = Bench::new(10);
        bench.bundle("1", &[("fails", 5), ("a", 5), ("panics", 5), ("b", 5)]);
        let error = bench.finalize("1").expect_err("two fail");
        assert!(error.starts_with("2 of 4 callbacks failed"), "{error}");
        assert!(error.contains("told to fail"), "{error}");
        assert!(error.contains("told to panic"), "{error}");
        assert_eq!(bench.called(), ["fails", "a", "panics", "b"]);
    }

    #[test]
    fn no_id_stands_for_all_that_was_answered() {
        let bench = Bench::new(10);
        bench.bundle("1", &[("a", 5)]);
        bench.bundle("2", &[("b", 5)]);
        let unanswered = bench.finalizers.take("2");
        bench.finalizers.keep(&"3".into(), unanswered);
        assert_eq!(bench.finalize(""), Ok(()));
        assert_eq!(bench.called(), ["a"]);
        bench.finalizers.answered("3");
        assert_eq!(bench.finalize(""), Ok(()));
        assert_eq!(bench.called(), ["b"]);
    }

    #[test]
    fn the_oldest_make_room() {
        let bench = Bench::new(3);
        assert_eq!(bench.bundle("1", &[("a", 5), ("b", 5)]), 0);
        assert_eq!(bench.bundle("2", &[("c", 5), ("d", 5)]), 1);
        assert_eq!(bench.finalize("1"), Ok(()));
        assert_eq!(bench.called(), ["b"]);
        let many = [("e", 5), ("f", 5), ("g", 5), ("h", 5)];
        assert_eq!(bench.bundle("3", &many), 3);
        assert_eq!(bench.finalize("2"), Ok(()));
        assert_eq!(bench.called(), [""; 0]);
        assert_eq!(bench.finalize("3"), Ok(()));
        assert_eq!(bench.called(), ["f", "g", "h"]);
        assert_eq!(bench.finalizers.take_all().len(), 0);
    }
}
