//! Hears when the process is asked to end.

use std::time::Duration;

use customer_guard::app::{App, RunError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long ending may take; service managers kill what takes much longer.
const PATIENCE: Duration = Duration::from_millis(4500);

/// Cancels the returned token at the first SIGINT or SIGTERM.
#[cfg(unix)]
pub(super) fn stop_token(tasks: &TaskTracker) -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let heard = stop.clone();
    tasks.spawn(async move {
        tokio::select! {
            _ = interrupted.recv() => tracing::info!("asked to stop by SIGINT"),
            _ = terminated.recv() => tracing::info!("asked to stop by SIGTERM"),
        }
        heard.cancel();
    });
    Ok(stop)
}

/// Cancels the returned token at Ctrl-C.
#[cfg(not(unix))]
pub(super) fn stop_token(tasks: &TaskTracker) -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let heard = stop.clone();
    tasks.spawn(async move {
        // Without a way to hear of it the process runs until it is killed.
        if tokio::signal::ctrl_c().await.is_ok() {
            heard.cancel();
        }
    });
    Ok(stop)
}

/// Runs the service until `stop`, and not much longer: what is acknowledged is on the disk, so leaving is safe.
pub(super) async fn run_until(app: App, stop: CancellationToken) -> Result<(), RunError> {
    let out_of_patience = async {
        stop.cancelled().await;
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::select! {
        ended = app.run(stop.clone()) => ended,
        () = out_of_patience => {
            tracing::warn!("stopping took too long; left as it was");
            Ok(())
        }
    }
}
