//! Bodies that nobody takes for too long end: what they hold is let go of.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use axum::body::Bytes;
use futures_util::{Stream, stream};
use tokio::time::Instant;

/// What makes the chunks of a body.
pub(in crate::http) trait Source: Send + 'static {
    /// The next chunk; `None` ends the body.
    fn next(&mut self) -> impl Future<Output = Option<Bytes>> + Send;
}

/// Where a source is kept while nobody asks it for a chunk, and since when.
type Parked<S> = Mutex<Option<(S, Instant)>>;

fn lock<S>(parked: &Parked<S>) -> MutexGuard<'_, Option<(S, Instant)>> {
    parked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The chunks of a source. It ends when no chunk is asked for within a time: a stream of HTTP/2 can stand still while
/// its connection does not.
pub(in crate::http) fn chunks<S: Source>(
    source: S,
    patience: Duration,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let parked = Arc::new(Mutex::new(Some((source, Instant::now()))));
    tokio::spawn(let_go(Arc::downgrade(&parked), patience));
    stream::unfold(parked, |parked| async move {
        let (mut source, _) = lock(&parked).take()?;
        let chunk = source.next().await?;
        *lock(&parked) = Some((source, Instant::now()));
        Some((Ok(chunk), parked))
    })
}

async fn let_go<S>(parked: Weak<Parked<S>>, patience: Duration) {
    let mut wait = patience;
    loop {
        tokio::time::sleep(wait).await;
        let Some(parked) = parked.upgrade() else { return };
        let mut source = lock(&parked);
        let waited = source.as_ref().map_or(Duration::ZERO, |(_, since)| since.elapsed());
        if waited >= patience {
            *source = None;
            return;
        }
        wait = patience - waited;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    struct Endless(#[expect(dead_code, reason = "it is counted")] Arc<()>);

    impl Source for Endless {
        async fn next(&mut self) -> Option<Bytes> {
            Some(Bytes::from_static(b"."))
        }
    }

    async fn is_let_go(held: &Arc<()>) -> bool {
        let gone = async {
            while Arc::strong_count(held) > 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), gone).await.is_ok()
    }

    #[tokio::test]
    async fn what_nobody_takes_is_let_go_of() {
        let held = Arc::new(());
        let mut body = Box::pin(chunks(Endless(held.clone()), Duration::from_millis(200)));
        assert!(body.next().await.is_some());
        assert!(is_let_go(&held).await);
        assert!(body.next().await.is_none());
    }

    #[tokio::test]
    async fn a_body_that_was_dropped_leaves_nothing() {
        let held = Arc::new(());
        drop(chunks(Endless(held.clone()), Duration::from_secs(600)));
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
