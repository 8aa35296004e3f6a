//! Keeps what is done to a bundle from outside within the bundle's time.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// One bundle of a plan that runs many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ticket(u64);

/// Lets splits of a bundle through, one after the other, from its beginning to its end.
///
/// A split that comes late finds the gate closed, or open for another bundle. One that is at work holds up the end, so
/// that its answer comes before the bundle's.
#[derive(Default)]
pub struct BundleGate(Mutex<Bundle>);

#[derive(Default)]
struct Bundle {
    ticket: Ticket,
    is_open: bool,
}

impl BundleGate {
    fn bundle(&self) -> MutexGuard<'_, Bundle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new bundle begins: does `prepare` before anybody can split it.
    pub(crate) fn open(&self, prepare: impl FnOnce()) {
        let mut bundle = self.bundle();
        prepare();
        bundle.ticket.0 += 1;
        bundle.is_open = true;
    }

    /// The bundle ends. Waits for a split that is at work.
    pub(crate) fn close(&self) {
        self.bundle().is_open = false;
    }

    /// The bundle that runs.
    pub(crate) fn ticket(&self) -> Ticket {
        self.bundle().ticket
    }

    /// Does `work` on the bundle of a ticket, if it runs; else nothing.
    pub(crate) fn pass<T>(&self, ticket: Ticket, work: impl FnOnce() -> T) -> Option<T> {
        let bundle = self.bundle();
        (bundle.is_open && bundle.ticket == ticket).then(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_for_one_bundle() {
        let gate = BundleGate::default();
        assert_eq!(gate.pass(gate.ticket(), || 1), None);
        gate.open(|| ());
        let first = gate.ticket();
        assert_eq!(gate.pass(first, || 2), Some(2));
        gate.close();
        assert_eq!(gate.pass(first, || 3), None);
        gate.open(|| ());
        assert_eq!(gate.pass(first, || 4), None);
        assert_eq!(gate.pass(gate.ticket(), || 5), Some(5));
    }
}
