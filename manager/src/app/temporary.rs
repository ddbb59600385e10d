//! A manager without sockets, for tests.

use std::sync::Arc;

use super::App;
use crate::{pki::authority::Authority, store};

/// A manager in a directory that goes with the test.
pub(crate) async fn app() -> (tempfile::TempDir, Arc<App>) {
    let (dir, store) = store::temporary().await;
    let meta = store.meta(None).await.expect("a grid");
    let authority = Authority::load_or_make(dir.path(), meta.grid, None).expect("an authority");
    let app = App::start(store, meta, authority, "here".to_owned()).await.expect("a manager");
    (dir, app)
}
