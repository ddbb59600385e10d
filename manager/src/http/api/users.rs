//! `/api/v1/users`

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use protocol::secret::Secret;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Answer, Body, Params, Subject, page::PageQuery};
use crate::{
    app::{App, to_the_end},
    grid::{access::Role, page::Page, schema},
    http::{
        auth::Authenticated,
        openapi::answers::{BadBody, BadParameters, InTheWay, LoginNeeded, NotThere, Stored, TooManyLogins},
        problem::Problem,
    },
    store::users::User,
};

/// A user in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "it describes what `Subject` takes")]
pub struct UserPath {
    /// The user's name.
    #[param(inline, value_type = schema::UserName)]
    name: String,
}

/// The users of the grid.
#[utoipa::path(
    get,
    path = "/users",
    tag = "access",
    params(PageQuery),
    responses((status = 200, description = "A part of them, by name", body = Page<User>), BadParameters, LoginNeeded),
)]
pub async fn users(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(page): Params<PageQuery>,
) -> Answer<Page<User>> {
    Ok(Json(app.users(&caller, page.text(), page.limit()).await?))
}

/// The user that is to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserRequest {
    /// The name.
    #[schema(value_type = schema::UserName)]
    name: String,
    /// What the user may do.
    role: Role,
    /// The password; one is generated without it.
    #[serde(default)]
    #[schema(value_type = Option<schema::Password>)]
    password: Option<Secret>,
}

/// A user who was added.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct UserResponse {
    /// The user.
    pub user: User,
    /// The password, shown this once, if it was generated.
    pub password: Option<String>,
}

/// Adds a user.
///
/// With an API token no admins are added.
#[utoipa::path(
    post,
    path = "/users",
    tag = "access",
    operation_id = "create_user",
    request_body = UserRequest,
    responses(
        (status = 201, description = "The user, and the password if it was generated", body = UserResponse),
        BadBody,
        InTheWay,
        TooManyLogins,
        Stored,
        LoginNeeded,
    ),
)]
pub async fn create(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Body(UserRequest { name, role, password }): Body<UserRequest>,
) -> Result<(StatusCode, Json<UserResponse>), Problem> {
    let (user, password) = to_the_end(async move { app.create_user(&caller, &name, role, password).await }).await?;
    Ok((StatusCode::CREATED, Json(UserResponse { user, password })))
}

/// What is to be different about a user.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// The new role.
    pub role: Role,
}

/// Gives a user another role.
///
/// The last admin stays one. With an API token nobody becomes an admin.
#[utoipa::path(
    patch,
    path = "/users/{name}",
    tag = "access",
    operation_id = "change_user",
    params(UserPath),
    request_body = UserChange,
    responses(
        (status = 200, description = "The user, as changed", body = User),
        BadBody,
        NotThere,
        InTheWay,
        Stored,
        LoginNeeded,
    ),
)]
pub async fn change(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(name): Subject,
    Body(UserChange { role }): Body<UserChange>,
) -> Answer<User> {
    Ok(Json(to_the_end(async move { app.change_role(&caller, &name, role).await }).await?))
}

/// The password that a user is to have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordReset {
    /// The password; one is generated without it.
    #[serde(default)]
    #[schema(value_type = Option<schema::Password>)]
    password: Option<Secret>,
}

/// The password that a user has now.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct PasswordResponse {
    /// The password, shown this once, if it was generated.
    pub password: Option<String>,
}

/// Resets the password of a user, who is logged out everywhere.
///
/// Not one's own, which `PUT /me/password` changes, and with an API token not those of admins.
#[utoipa::path(
    post,
    path = "/users/{name}/password",
    tag = "access",
    params(UserPath),
    request_body = PasswordReset,
    responses(
        (status = 200, description = "The password, if it was generated", body = PasswordResponse),
        BadBody,
        NotThere,
        TooManyLogins,
        Stored,
        LoginNeeded,
    ),
)]
pub async fn reset_password(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(name): Subject,
    Body(PasswordReset { password }): Body<PasswordReset>,
) -> Answer<PasswordResponse> {
    let password = to_the_end(async move { app.reset_password(&caller, &name, password).await }).await?;
    Ok(Json(PasswordResponse { password }))
}

/// Logs a user out everywhere.
#[utoipa::path(
    delete,
    path = "/users/{name}/sessions",
    tag = "access",
    operation_id = "log_out_user",
    params(UserPath),
    responses((status = 204, description = "The user has no session"), BadParameters, NotThere, Stored, LoginNeeded),
)]
pub async fn log_out(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(name): Subject,
) -> Result<StatusCode, Problem> {
    to_the_end(async move { app.log_out_user(&caller, &name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a user, with their sessions and API tokens.
///
/// The last admin stays.
#[utoipa::path(
    delete,
    path = "/users/{name}",
    tag = "access",
    operation_id = "remove_user",
    params(UserPath),
    responses((status = 204, description = "The user is removed"), BadParameters, NotThere, InTheWay, Stored, LoginNeeded),
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(name): Subject,
) -> Result<StatusCode, Problem> {
    to_the_end(async move { app.remove_user(&caller, &name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
