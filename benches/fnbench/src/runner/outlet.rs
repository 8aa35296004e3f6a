//! The sending side of a stream to the worker, from before it is opened until it is closed.

use std::sync::Mutex;

use anyhow::{Context as _, Result};
use tokio::sync::mpsc;
use tonic::Status;

use crate::lock;

/// What a stream of a tonic server takes.
pub(crate) type Item<T> = Result<T, Status>;

/// A queue whose receiver one stream takes.
pub(crate) struct Outlet<T> {
    sender: Mutex<Option<mpsc::Sender<Item<T>>>>,
    receiver: Mutex<Option<mpsc::Receiver<Item<T>>>>,
}

impl<T> Outlet<T> {
    /// An outlet whose senders wait while `limit` messages are queued.
    pub(crate) fn new(limit: usize) -> Self {
        let (sender, receiver) = mpsc::channel(limit.max(1));
        Outlet {
            sender: Mutex::new(Some(sender)),
            receiver: Mutex::new(Some(receiver)),
        }
    }

    /// Sends a message, also before the worker has opened the stream.
    ///
    /// # Errors
    /// The stream is closed.
    pub(crate) async fn send(&self, message: T) -> Result<()> {
        let sender = lock(&self.sender)
            .clone()
            .context("the stream to the worker is closed")?;
        let sent = sender.send(Ok(message)).await;
        sent.ok().context("the worker has closed the stream")
    }

    /// What is sent; `None` for all streams but the first.
    pub(crate) fn receiver(&self) -> Option<mpsc::Receiver<Item<T>>> {
        lock(&self.receiver).take()
    }

    /// Ends the stream after what was sent.
    pub(crate) fn close(&self) {
        lock(&self.sender).take();
    }
}
