//! What a function wants done once its bundle is durable.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Clock, Describe, Port, Wiring};
use crate::error::Result;

/// A port through which a function asks for work after the runner has committed its bundle: to acknowledge messages
/// that it read, say.
///
/// The runner need not ever say that it has committed, so nothing may depend on a callback. One that is not called
/// before it expires is dropped. Those of a bundle that fails are never called.
///
/// ```
/// use std::time::Duration;
///
/// use ferrobeam::prelude::*;
/// use ferrobeam::testing::DoFnTester;
///
/// /// Acknowledges messages, once what was made of them cannot be lost.
/// #[derive(serde::Serialize, serde::Deserialize, DoFn)]
/// #[beam(name = "queue.Acknowledge/v1")]
/// struct Acknowledge;
///
/// #[derive(Ports)]
/// struct AcknowledgeIo {
///     read: Out<String>,
///     after_commit: AfterCommit,
/// }
///
/// impl DoFn for Acknowledge {
///     type In = String;
///     type Io = AcknowledgeIo;
///
///     fn process(&mut self, message: String, cx: &mut Cx, io: &mut AcknowledgeIo) -> Result {
///         io.read.emit(cx, message.clone());
///         io.after_commit.register(Duration::from_secs(60), move || {
///             println!("{message} is safe");
///             Ok(())
///         });
///         Ok(())
///     }
/// }
///
/// let mut tester = DoFnTester::of(Acknowledge);
/// tester.run(["one".to_owned()])?;
/// tester.commit()?;
/// # Ok::<(), ferrobeam::Error>(())
/// ```
pub struct AfterCommit {
    commits: Commits,
    clock: Arc<dyn Clock>,
}

impl AfterCommit {
    pub(super) fn new(commits: Commits, clock: Arc<dyn Clock>) -> Self {
        AfterCommit { commits, clock }
    }

    /// Has `callback` called when the runner says that the bundle is committed, unless it takes longer than `expiry`
    /// from now. Callbacks run on another thread, and must not wait for bundles.
    ///
    /// An error or a panic in one is told to the runner, and hinders no other.
    pub fn register(
        &mut self,
        expiry: Duration,
        callback: impl FnOnce() -> Result<()> + Send + 'static,
    ) {
        let expiry = i64::try_from(expiry.as_millis()).unwrap_or(i64::MAX);
        self.commits.add(Commit {
            expires: self.clock.now_millis().saturating_add(expiry),
            callback: Box::new(callback),
        });
    }
}

impl<F: ?Sized> Port<F> for AfterCommit {
    fn wire(wiring: &mut Wiring<'_>, _name: &'static str) -> Result<Self> {
        wiring.after_commit()
    }

    fn describe<D: Describe>(describe: &mut D, _name: &'static str) {
        describe.after_commit();
    }
}

/// One callback.
pub struct Commit {
    /// The first millisecond since 1970 in which it must not be called any more.
    expires: i64,
    callback: Box<dyn FnOnce() -> Result<()> + Send>,
}

impl Commit {
    /// Whether it is too late to call it.
    pub fn is_expired(&self, now_millis: i64) -> bool {
        self.expires <= now_millis
    }

    /// Calls it.
    ///
    /// # Errors
    /// Those of the callback.
    pub fn run(self) -> Result<()> {
        (self.callback)()
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// The callbacks of the bundle that a plan runs, from all its functions.
#[derive(Clone, Default)]
pub struct Commits(Arc<Mutex<Vec<Commit>>>);

impl Commits {
    fn add(&self, commit: Commit) {
        let mut commits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        commits.push(commit);
    }

    /// Takes all that were registered.
    pub fn take(&self) -> Vec<Commit> {
        let mut commits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *commits)
    }
}
