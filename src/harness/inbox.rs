//! The input of one bundle, between the rim that receives it and the thread that processes it.
//!
//! A stream carries the input of many bundles. When one of them is slow, its input first waits in memory, up to its
//! share. Then the stream is no longer read, and the sender waits — unless another bundle waits for input that may be
//! further back in the stream. Then the slow bundle's input is spilled to disk, to get at the other's. So a bundle
//! never waits because of another, and memory stays within the budget.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use beam_proto::fnexec::Elements;
use bytes::Bytes;
use tokio::sync::Notify;

use super::spill::{Place, Spill};
use crate::error::{Error, ErrorKind, Result};

/// A stretch of the input of one source, or of one family of timers.
#[derive(Debug, PartialEq)]
pub(crate) struct Stretch {
    /// The id of the source, or of the function that the timers belong to.
    pub(crate) transform: String,
    /// The family, if these are timers.
    pub(crate) family: Option<String>,
    pub(crate) data: Bytes,
    pub(crate) last: bool,
}

/// The stretches of a message by instruction: the data first, as timers come after data that stands in the same message.
pub(crate) fn stretches(elements: Elements) -> impl Iterator<Item = (String, Stretch)> {
    let data = elements.data.into_iter().map(|data| {
        let stretch = Stretch {
            transform: data.transform_id,
            family: None,
            data: data.data,
            last: data.is_last,
        };
        (data.instruction_id, stretch)
    });
    let timers = elements.timers.into_iter().map(|timers| {
        let stretch = Stretch {
            transform: timers.transform_id,
            family: Some(timers.timer_family_id),
            data: timers.timers,
            last: timers.is_last,
        };
        (timers.instruction_id, stretch)
    });
    data.chain(timers)
}

/// What all inboxes of a worker share.
pub(crate) struct InboxBudget {
    /// What one bundle may hold in memory, in bytes.
    share: usize,
    /// Bundles whose threads wait for input.
    starving: Arc<AtomicUsize>,
    /// Bundles that wait for their first input without a thread.
    expectant: AtomicUsize,
    /// Told when an inbox drains or a bundle begins to starve.
    changed: Notify,
}

impl InboxBudget {
    /// How many bundle threads wait for input.
    pub(crate) fn starving(&self) -> Arc<AtomicUsize> {
        self.starving.clone()
    }

    /// What one bundle may hold in memory, in bytes.
    pub(crate) fn share(&self) -> usize {
        self.share
    }

    /// How many bundles wait for input: with a thread, and without.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        (count(&self.starving), count(&self.expectant))
    }

    /// Whether some bundle needs what may be further back in a stream.
    fn is_urgent(&self) -> bool {
        self.starving.load(Ordering::SeqCst) > 0 || self.expectant.load(Ordering::SeqCst) > 0
    }

    pub(crate) fn new(share: usize) -> Arc<Self> {
        Arc::new(InboxBudget {
            share,
            starving: Arc::default(),
            expectant: AtomicUsize::new(0),
            changed: Notify::new(),
        })
    }
}

/// Says, as long as it lives, that a bundle without a thread waits for its first input.
pub(crate) struct Expectant(Arc<InboxBudget>);

impl Drop for Expectant {
    fn drop(&mut self) {
        self.0.expectant.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The input of one bundle.
pub(crate) struct Inbox {
    budget: Arc<InboxBudget>,
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Queued>,
    /// Bytes in memory.
    bytes: usize,
    spill: Spill,
    spilled: usize,
    waiting: bool,
    /// How long the bundle's thread has waited for input.
    waited: Duration,
    end: Option<Error>,
}

struct Queued {
    transform: String,
    family: Option<String>,
    data: Held,
    last: bool,
}

enum Held {
    Memory(Bytes),
    Disk(Place),
}

impl Inbox {
    pub(crate) fn new(budget: &Arc<InboxBudget>) -> Arc<Self> {
        Arc::new(Inbox {
            budget: budget.clone(),
            state: Mutex::default(),
            arrived: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a stretch. Waits, without blocking the rim, while the bundle has its share and nobody starves.
    pub(crate) async fn push(&self, stretch: Stretch) {
        loop {
            // Registered before the check, so that no change is missed.
            let changed = self.budget.changed.notified();
            {
                let mut state = self.state();
                if state.end.is_some() {
                    return;
                }
                let full = state.bytes > 0 && state.bytes + stretch.data.len() > self.budget.share;
                if !full && state.spilled == 0 {
                    state.bytes += stretch.data.len();
                    let data = Held::Memory(stretch.data.clone());
                    return self.enqueue(state, stretch, data);
                }
                // What follows spilled input is spilled too, to keep the order of reading cheap.
                if !full || self.budget.is_urgent() {
                    match state.spill.write(&stretch.data) {
                        Ok(place) => {
                            state.spilled += 1;
                            return self.enqueue(state, stretch, Held::Disk(place));
                        }
                        Err(error) => {
                            drop(state);
                            return self.close(error);
                        }
                    }
                }
            }
            changed.await;
        }
    }

    /// Adds a stretch whose data is held as told.
    fn enqueue(&self, mut state: MutexGuard<'_, State>, stretch: Stretch, data: Held) {
        state.queue.push_back(Queued {
            transform: stretch.transform,
            family: stretch.family,
            data,
            last: stretch.last,
        });
        let waiting = state.waiting;
        drop(state);
        if waiting {
            self.arrived.notify_one();
        }
    }

    /// Takes the whole input of a bundle at once. It is in memory anyway, so no budget holds it up. `short` is the error of
    /// a bundle that wants more.
    pub(crate) fn fill(&self, stretches: impl IntoIterator<Item = Stretch>, short: Error) {
        let mut state = self.state();
        for stretch in stretches {
            state.bytes += stretch.data.len();
            state.queue.push_back(Queued {
                transform: stretch.transform,
                family: stretch.family,
                data: Held::Memory(stretch.data),
                last: stretch.last,
            });
        }
        drop(state);
        self.cut_off(short);
    }

    /// Takes the next stretch. Blocks until there is one.
    ///
    /// # Errors
    /// The inbox was closed.
    pub(crate) fn pop(&self) -> Result<Stretch> {
        let mut state = self.state();
        if state.queue.is_empty() && state.end.is_none() {
            state.waiting = true;
            let since = Instant::now();
            self.budget.starving.fetch_add(1, Ordering::SeqCst);
            self.budget.changed.notify_waiters();
            while state.queue.is_empty() && state.end.is_none() {
                state = self
                    .arrived
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            state.waiting = false;
            state.waited += since.elapsed();
            self.budget.starving.fetch_sub(1, Ordering::SeqCst);
        }
        let Some(queued) = state.queue.pop_front() else {
            let error = state.end.take();
            state.end = Some(closed());
            return Err(error.unwrap_or_else(closed));
        };
        let data = match queued.data {
            Held::Memory(data) => {
                let was_full = state.bytes >= self.budget.share / 2;
                state.bytes -= data.len();
                if was_full {
                    self.budget.changed.notify_waiters();
                }
                data
            }
            Held::Disk(place) => {
                let data = state.spill.read(place)?;
                state.spilled -= 1;
                if state.spilled == 0 {
                    state.spill.clear();
                }
                data
            }
        };
        Ok(Stretch {
            transform: queued.transform,
            family: queued.family,
            data,
            last: queued.last,
        })
    }

    /// Says that the bundle has no thread before its first input comes.
    pub(crate) fn expect(&self) -> Expectant {
        self.budget.expectant.fetch_add(1, Ordering::SeqCst);
        self.budget.changed.notify_waiters();
        Expectant(self.budget.clone())
    }

    /// Whether no input is there, and some may come.
    pub(crate) fn is_untouched(&self) -> bool {
        let state = self.state();
        state.queue.is_empty() && state.end.is_none()
    }

    /// Whether the bundle's thread waits for input.
    pub(crate) fn is_waiting(&self) -> bool {
        self.state().waiting
    }

    /// How long the bundle's thread has waited for input.
    pub(crate) fn waited(&self) -> Duration {
        self.state().waited
    }

    /// Bytes in memory, unless the inbox is in use: whoever asks may not wait for a disk.
    pub(crate) fn queued(&self) -> Option<usize> {
        self.state.try_lock().ok().map(|state| state.bytes)
    }

    /// Bytes in memory and stretches on disk.
    #[cfg(test)]
    fn held(&self) -> (usize, usize) {
        let state = self.state();
        (state.bytes, state.spilled)
    }

    /// Takes no more input. What is there can still be read; then the bundle gets the error.
    pub(crate) fn cut_off(&self, error: Error) {
        self.state().end.get_or_insert(error);
        self.arrived.notify_all();
        self.budget.changed.notify_waiters();
    }

    /// Drops the input that is there and all that will come. A bundle that waits gets the error.
    pub(crate) fn close(&self, error: Error) {
        let mut state = self.state();
        state.queue.clear();
        (state.bytes, state.spilled) = (0, 0);
        state.spill.clear();
        state.end.get_or_insert(error);
        drop(state);
        self.arrived.notify_all();
        self.budget.changed.notify_waiters();
    }
}

#[cold]
fn closed() -> Error {
    Error::new(ErrorKind::Cancelled, "the bundle's input was closed")
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn stretch(data: &[u8], last: bool) -> Stretch {
        Stretch {
            transform: "source".into(),
            family: None,
            data: Bytes::copy_from_slice(data),
            last,
        }
    }

    fn poll(future: std::pin::Pin<&mut impl Future<Output = ()>>) -> Poll<()> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_full_inbox_makes_the_sender_wait() {
        let budget = InboxBudget::new(8);
        let inbox = Inbox::new(&budget);
        assert_eq!(
            poll(pin!(inbox.push(stretch(b"12345678", false)))),
            Poll::Ready(())
        );
        let mut waiting = pin!(inbox.push(stretch(b"9", true)));
        assert_eq!(poll(waiting.as_mut()), Poll::Pending);
        assert_eq!(inbox.pop().expect("there").data, "12345678");
        assert_eq!(poll(waiting.as_mut()), Poll::Ready(()));
        assert_eq!(inbox.pop().expect("there"), stretch(b"9", true));
        assert_eq!(inbox.held(), (0, 0));
    }

    #[test]
    fn a_starving_bundle_makes_the_full_one_spill() {
        let budget = InboxBudget::new(8);
        let (slow, hungry) = (Inbox::new(&budget), Inbox::new(&budget));
        assert_eq!(
            poll(pin!(slow.push(stretch(b"12345678", false)))),
            Poll::Ready(())
        );
        let mut waiting = pin!(slow.push(stretch(b"spilled", false)));
        assert_eq!(poll(waiting.as_mut()), Poll::Pending);
        std::thread::scope(|scope| {
            let eater = scope.spawn(|| hungry.pop());
            while !hungry.is_waiting() {
                std::thread::yield_now();
            }
            assert_eq!(poll(waiting.as_mut()), Poll::Ready(()));
            assert_eq!(slow.held(), (8, 1));
            assert_eq!(
                poll(pin!(hungry.push(stretch(b"food", true)))),
                Poll::Ready(())
            );
            assert_eq!(eater.join().expect("no panic").expect("fed").data, "food");
        });
        // Nobody starves any more, but what follows spilled input must not overtake it.
        assert_eq!(poll(pin!(slow.push(stretch(b"x", true)))), Poll::Pending);
        assert_eq!(slow.pop().expect("there").data, "12345678");
        assert_eq!(poll(pin!(slow.push(stretch(b"y", true)))), Poll::Ready(()));
        assert_eq!(slow.pop().expect("there").data, "spilled");
        assert_eq!(slow.pop().expect("there").data, "y");
        assert_eq!(slow.held(), (0, 0));
    }

    #[test]
    fn a_whole_input_is_never_held_up() {
        let inbox = Inbox::new(&InboxBudget::new(8));
        let whole = [stretch(b"more than the share", false), stretch(b"", true)];
        inbox.fill(whole, Error::transport("short"));
        // What comes through a stream all the same is dropped.
        assert_eq!(
            poll(pin!(inbox.push(stretch(b"late", false)))),
            Poll::Ready(())
        );
        assert_eq!(inbox.pop().expect("there").data, "more than the share");
        assert_eq!(inbox.pop().expect("there"), stretch(b"", true));
        assert_eq!(inbox.held(), (0, 0));
        assert_eq!(inbox.pop().expect_err("no more").message(), "short");
    }

    #[test]
    fn a_closed_inbox_drops_what_comes() {
        let inbox = Inbox::new(&InboxBudget::new(8));
        assert_eq!(
            poll(pin!(inbox.push(stretch(b"1", false)))),
            Poll::Ready(())
        );
        inbox.close(Error::transport("gone"));
        assert_eq!(inbox.pop().expect_err("closed").message(), "gone");
        assert_eq!(
            poll(pin!(inbox.push(stretch(b"2", false)))),
            Poll::Ready(())
        );
        assert_eq!(inbox.held(), (0, 0));
    }
}
