//! One bundle in flight.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use beam_proto::fnexec::elements::Data;
use bytes::Bytes;
use tokio::sync::oneshot;

use crate::lock;

/// What comes back for a bundle.
pub(crate) struct Bundle {
    start: Instant,
    progress: Mutex<Progress>,
}

struct Progress {
    returned: Returned,
    /// The response and the ends of sinks that have not come yet.
    open: usize,
    done: Option<oneshot::Sender<Result<Returned>>>,
}

/// What came back for a bundle.
#[derive(Default)]
pub(crate) struct Returned {
    pub(crate) out_bytes: u64,
    pub(crate) out_messages: u64,
    pub(crate) response_bytes: u64,
    pub(crate) until_response: Duration,
    /// The output itself, if it is wanted.
    pub(crate) output: Option<Vec<Bytes>>,
}

impl Bundle {
    /// A bundle that begins now. The receiver hears when the response and the ends of all sinks are there.
    pub(crate) fn begin(
        sinks: usize,
        keep_output: bool,
    ) -> (Self, oneshot::Receiver<Result<Returned>>) {
        let (done, receiver) = oneshot::channel();
        let returned = Returned {
            output: keep_output.then(Vec::new),
            ..Returned::default()
        };
        let progress = Progress {
            returned,
            open: 1 + sinks,
            done: Some(done),
        };
        let bundle = Bundle {
            start: Instant::now(),
            progress: Mutex::new(progress),
        };
        (bundle, receiver)
    }

    /// Time since the bundle began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Takes output.
    pub(crate) fn data(&self, data: Data) {
        let mut progress = lock(&self.progress);
        if !data.data.is_empty() {
            let returned = &mut progress.returned;
            returned.out_bytes += data.data.len() as u64;
            returned.out_messages += 1;
            if let Some(output) = &mut returned.output {
                output.push(data.data);
            }
        }
        if data.is_last {
            progress.close_one();
        }
    }

    /// Takes the response, of this size.
    pub(crate) fn response(&self, bytes: usize) {
        let elapsed = self.elapsed();
        let mut progress = lock(&self.progress);
        progress.returned.response_bytes = bytes as u64;
        progress.returned.until_response = elapsed;
        progress.close_one();
    }

    /// Ends the bundle early.
    pub(crate) fn fail(&self, why: &str) {
        if let Some(done) = lock(&self.progress).done.take() {
            let _nobody_waits = done.send(Err(anyhow!("{why}")));
        }
    }
}

impl Progress {
    fn close_one(&mut self) {
        self.open = self.open.saturating_sub(1);
        if self.open == 0
            && let Some(done) = self.done.take()
        {
            let _nobody_waits = done.send(Ok(std::mem::take(&mut self.returned)));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn data(bytes: &'static [u8], is_last: bool) -> Data {
        Data {
            data: Bytes::from_static(bytes),
            is_last,
            ..Data::default()
        }
    }

    #[test]
    fn a_bundle_ends_with_its_response_and_all_sinks() {
        let (bundle, mut done) = Bundle::begin(2, true);
        bundle.data(data(b"ab", false));
        bundle.data(data(b"", true));
        bundle.response(7);
        assert!(done.try_recv().is_err());
        bundle.data(data(b"c", true));
        let returned = done.try_recv().unwrap().unwrap();
        assert_eq!((returned.out_bytes, returned.out_messages), (3, 2));
        assert_eq!(returned.response_bytes, 7);
        assert_eq!(returned.output.unwrap(), ["ab", "c"]);
    }

    #[test]
    fn the_first_failure_ends_a_bundle() {
        let (bundle, mut done) = Bundle::begin(1, false);
        bundle.fail("it broke");
        bundle.fail("again");
        let error = done.try_recv().unwrap().err().unwrap();
        assert_eq!(error.to_string(), "it broke");
    }
}
