//! Sends on what slow bundles hold back.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::instructions::Instructions;

/// Sends on, again and again, what the sinks of running bundles have collected. Runs on the rim, until dropped.
pub(crate) async fn keep_flowing(instructions: Arc<Instructions>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for (_, running) in instructions.running() {
            running.held.send_on();
        }
    }
}
