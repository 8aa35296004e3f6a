//! One file for each Fn API service.

mod clients;
mod codec;
pub(super) mod control;
pub(super) mod data;
pub(super) mod logging;
pub(super) mod provision;
mod queue;
pub(super) mod state;
pub(super) mod status;
mod transport;

pub(super) use codec::Rope;
pub(super) use queue::SendQueue;
pub(super) use transport::Peer;
