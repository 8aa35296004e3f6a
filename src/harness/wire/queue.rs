//! The queue in front of a stream that we write to: bounded in bytes, filled from any thread.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio_stream::Stream;

use super::Rope;
use crate::error::{Error, Result};
use crate::harness::page::StreamState;

/// Messages on their way to one stream.
pub(crate) struct SendQueue {
    state: Mutex<State>,
    room: Condvar,
    limit: usize,
}

struct State {
    messages: VecDeque<Rope>,
    bytes: usize,
    /// The stream task, if it waits for a message.
    waker: Option<Waker>,
    /// Whether there is a stream task.
    is_read: bool,
    end: End,
}

enum End {
    Open,
    /// No more messages will come; those that are there are still sent.
    Finished,
    /// The stream is gone.
    Broken(String),
}

impl SendQueue {
    /// A queue whose writers wait while it holds `limit` bytes or more.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        let state = State {
            messages: VecDeque::new(),
            bytes: 0,
            waker: None,
            is_read: false,
            end: End::Open,
        };
        Arc::new(SendQueue {
            state: Mutex::new(state),
            room: Condvar::new(),
            limit,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a writer need not wait.
    pub(crate) fn has_room(&self) -> bool {
        self.state().bytes < self.limit
    }

    /// Adds a message. Blocks while the queue is full: never call it on the rim.
    pub(crate) fn push_blocking(&self, rope: Rope) -> Result<()> {
        let mut state = self.state();
        while state.bytes >= self.limit && matches!(state.end, End::Open) {
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.push_locked(state, rope)
    }

    /// Adds a message whatever the queue holds: for small messages whose number something else bounds.
    pub(crate) fn push(&self, rope: Rope) -> Result<()> {
        let state = self.state();
        self.push_locked(state, rope)
    }

    fn push_locked(&self, mut state: MutexGuard<'_, State>, rope: Rope) -> Result<()> {
        match &state.end {
            End::Open => {}
            End::Finished => return Err(Error::transport("the stream to the runner has ended")),
            End::Broken(why) => {
                return Err(Error::transport(format!(
                    "the stream to the runner broke: {why}"
                )));
            }
        }
        state.bytes += rope.len();
        state.messages.push_back(rope);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Ends the stream after the messages that are there.
    pub(crate) fn finish(&self) {
        self.end(End::Finished);
    }

    /// Whether the stream task has yet to take messages, or the end, to the connection.
    pub(crate) fn is_read(&self) -> bool {
        self.state().is_read
    }

    /// Drops all messages; whoever waits or comes later gets an error.
    pub(crate) fn break_off(&self, why: &str) {
        self.end(End::Broken(why.to_owned()));
    }

    fn end(&self, end: End) {
        let mut state = self.state();
        if matches!(end, End::Broken(_)) {
            state.messages.clear();
            state.bytes = 0;
        }
        if matches!(state.end, End::Open) {
            state.end = end;
        }
        let waker = state.waker.take();
        drop(state);
        self.room.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// How many bytes wait.
    pub(crate) fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// Whether messages are no longer taken.
    pub(crate) fn is_ended(&self) -> bool {
        !matches!(self.state().end, End::Open)
    }

    /// Why the stream is gone; `None` as long as it stands.
    pub(crate) fn why_ended(&self) -> Option<String> {
        match &self.state().end {
            End::Open => None,
            End::Finished => Some("the worker ends".into()),
            End::Broken(why) => Some(why.clone()),
        }
    }

    /// How the stream is.
    pub(crate) fn state_of_stream(&self) -> StreamState {
        match self.why_ended() {
            None => StreamState::Open(self.state().bytes),
            Some(why) => StreamState::Ended(why),
        }
    }

    /// The reading end.
    pub(crate) fn stream(self: &Arc<Self>) -> SendStream {
        self.state().is_read = true;
        SendStream(self.clone())
    }
}

/// Takes messages from a [`SendQueue`].
pub(crate) struct SendStream(Arc<SendQueue>);

impl Stream for SendStream {
    type Item = Rope;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Rope>> {
        let mut state = self.0.state();
        if let Some(rope) = state.messages.pop_front() {
            let was_full = state.bytes >= self.0.limit;
            state.bytes -= rope.len();
            let has_room = state.bytes < self.0.limit;
            drop(state);
            if was_full && has_room {
                self.0.room.notify_all();
            }
            return Poll::Ready(Some(rope));
        }
        match state.end {
            End::Open => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            End::Finished | End::Broken(_) => Poll::Ready(None),
        }
    }
}

impl Drop for SendStream {
    /// The stream task is gone, and with it whatever would make room.
    fn drop(&mut self) {
        self.0.state().is_read = false;
        self.0.break_off("its connection was closed");
    }
}
