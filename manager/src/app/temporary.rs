//! A manager without sockets, for tests.

use std::sync::Arc;

use super::{App, Host};
use crate::{pki::authority::Authority, store};

/// A manager in a directory that goes with the test.
pub(crate) async fn app() -> (tempfile::TempDir, Arc<App>) {
    let (dir, store) = store::temporary().await;
    let meta = store.meta(None).await.expect("a grid");
    let authority = Authority::load_or_make(dir.path(), meta.grid, None).expect("an authority");
    let hook_user = runner::Account::current().map(|account| account.name);
    let host =
        Host { name: "here".to_owned(), data: dir.path().to_path_buf(), hook_user, launcher: runner::Launcher::own() };
    let app = App::start(store, meta, authority, host).await.expect("a manager");
    (dir, app)
}
