//! Notifications for systemd, or another manager with its protocol: sd_notify(3). None are sent if `NOTIFY_SOCKET` is
//! not set.

use std::sync::Arc;
use std::time::Duration;

use componentstatus::{Board, Thresholds};
use sd_notify::NotifyState;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, warn};

/// A notice to the service manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The agent runs, or runs again after a reload.
    Ready,
    /// A reload has begun.
    Reloading,
    /// The shutdown has begun.
    Stopping,
    /// A phrase that `systemctl status` shows.
    Status(&'static str),
}

/// Sends the notices to the service manager. A failure is logged: the agent does its work all the same.
pub fn notify(notices: &[Notice]) {
    let mut states = Vec::new();
    for notice in notices {
        match notice {
            Notice::Ready => states.push(NotifyState::Ready),
            Notice::Reloading => {
                states.push(NotifyState::Reloading);
                // `Type=notify-reload` demands the time beside the state.
                states.extend(NotifyState::monotonic_usec_now().ok());
            }
            Notice::Stopping => states.push(NotifyState::Stopping),
            Notice::Status(status) => states.push(NotifyState::Status(status)),
        }
    }
    send(&states);
}

/// Feeds the watchdog, if there is one, twice as often as it demands, as long as the watermark advances. It is not fed
/// once a receiver has forwarded nothing for the watchdog's timeout, or for the time of a health check if that is less.
pub fn watchdog(board: Arc<Board>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let Some(timeout) = sd_notify::watchdog_enabled() else { return };
        let stalled_after = timeout.clamp(Duration::from_secs(1), Thresholds::STALLED_AFTER);
        let mut ticks = interval((timeout / 2).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_stalled = false;
        loop {
            ticks.tick().await;
            let stalled = board.stalled(stalled_after);
            match &stalled {
                None => send(&[NotifyState::Watchdog]),
                Some(reason) if !was_stalled => error!(reason, "Not feeding the watchdog."),
                Some(_) => {}
            }
            was_stalled = stalled.is_some();
        }
    })
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "Cannot notify the service manager.");
    }
}
