//! `/api/v1/whoami`

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    grid::access::{Credential, Role},
    http::auth::Authenticated,
};

/// Who calls.
#[derive(Debug, Serialize, Deserialize)]
pub struct Whoami {
    /// The name.
    pub name: String,
    /// The role.
    pub role: Option<Role>,
    /// By what the caller was recognised: `socket`, `token` or `session`.
    pub credential: String,
    /// The grid.
    pub grid: String,
}

/// `GET /whoami`
pub async fn whoami(State(app): State<Arc<App>>, Authenticated(caller): Authenticated) -> Json<Whoami> {
    let credential = match caller.credential {
        Credential::Socket => "socket",
        Credential::Token => "token",
        Credential::Session => "session",
    };
    Json(Whoami {
        name: caller.name,
        role: caller.role,
        credential: credential.to_owned(),
        grid: app.meta.grid_name.clone(),
    })
}
