//! Whoever waits may have enough of it.

use tokio::signal::unix::{SignalKind, signal};

/// Waits until the process is told to end: by Ctrl-C, by a closed terminal, or by somebody else.
pub(crate) async fn told_to_end() {
    let told = |kind| async move {
        match signal(kind) {
            Ok(mut told) => {
                told.recv().await;
            }
            // Then it ends as any process does.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = told(SignalKind::interrupt()) => {}
        () = told(SignalKind::terminate()) => {}
        () = told(SignalKind::hangup()) => {}
    }
}
