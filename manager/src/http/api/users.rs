//! `/api/v1/users`

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use protocol::secret::Secret;
use serde::{Deserialize, Serialize};

use super::{Answer, Body, Params, Subject, page::PageQuery};
use crate::{
    app::{App, to_the_end},
    grid::{access::Role, page::Page},
    http::{auth::Authenticated, problem::Problem},
    store::users::User,
};

/// `GET /users`
pub async fn users(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(page): Params<PageQuery>,
) -> Answer<Page<User>> {
    Ok(Json(app.users(&caller, page.text(), page.limit()).await?))
}

/// What `POST /users` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserRequest {
    name: String,
    role: Role,
    #[serde(default)]
    password: Option<Secret>,
}

/// What it answers.
#[derive(Serialize, Deserialize)]
pub struct UserResponse {
    /// The user.
    pub user: User,
    /// The password, shown this once, if it was generated.
    pub password: Option<String>,
}

/// `POST /users`
pub async fn create(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Body(UserRequest { name, role, password }): Body<UserRequest>,
) -> Result<(StatusCode, Json<UserResponse>), Problem> {
    let (user, password) = to_the_end(async move { app.create_user(&caller, &name, role, password).await }).await?;
    Ok((StatusCode::CREATED, Json(UserResponse { user, password })))
}

/// What `PATCH /users/{name}` takes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// The new role.
    pub role: Role,
}

/// `PATCH /users/{name}`
pub async fn change(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(name): Subject,
    Body(UserChange { role }): Body<UserChange>,
) -> Answer<User> {
    Ok(Json(to_the_end(async move { app.change_role(&caller, &name, role).await }).await?))
}

/// What `POST /users/{name}/password` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordReset {
    #[serde(default)]
    password: Option<Secret>,
}

/// What it answers.
#[derive(Serialize, Deserialize)]
pub struct PasswordResponse {
    /// The password, shown this once, if it was generated.
    pub password: Option<String>,
}

/// `POST /users/{name}/password`
pub async fn reset_password(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(name): Subject,
    Body(PasswordReset { password }): Body<PasswordReset>,
) -> Answer<PasswordResponse> {
    let password = to_the_end(async move { app.reset_password(&caller, &name, password).await }).await?;
    Ok(Json(PasswordResponse { password }))
}

/// `DELETE /users/{name}/sessions`
pub async fn log_out(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(name): Subject,
) -> Result<StatusCode, Problem> {
    to_the_end(async move { app.log_out_user(&caller, &name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /users/{name}`
pub async fn remove(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(name): Subject,
) -> Result<StatusCode, Problem> {
    to_the_end(async move { app.remove_user(&caller, &name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
