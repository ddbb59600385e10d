//! The description of the API (OpenAPI 3.1), made of what stands at each handler, and served at
//! `/api/v1/openapi.json`.

pub mod answers;
#[cfg(test)]
mod tests;

use axum::{
    Extension,
    body::Bytes,
    http::header,
    response::{IntoResponse, Response},
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{auth::COOKIE, problem};

/// What the description says of the API as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tomcat Grid",
        description = "The API of a manager. Everything that the dashboard and the command line do goes through it.\n\n\
            Scripts send `Authorization: Bearer TOKEN`, with an API token that `tomcat-grid token create --api` prints. \
            Browsers log in with `POST /api/v1/session` and send the cookie they get. At the Unix socket of the \
            manager's host nobody needs either: who calls is known to the kernel.\n\n\
            What is wrong is answered as `application/problem+json` with a stable `code`. Besides what each operation \
            lists, a path that is none is answered with 404 `no_such_path`, and a method that a path does not take \
            with 405 `no_such_method`. Keys are added to answers over time, and never renamed."
    ),
    components(schemas(problem::Problem)),
    security(("token" = []), ("session" = [])),
    tags(
        (name = "status", description = "What is, what was, and what happens"),
        (name = "services", description = "Acting on services"),
        (name = "operations", description = "Commands that wait for what they bring about"),
        (name = "machines", description = "Who belongs to the grid"),
        (name = "hooks", description = "Programs that run at events"),
        (name = "access", description = "Who may do what"),
        (name = "configuration", description = "What is set for the grid: limits, collections, hooks, schedules"),
        (name = "manager", description = "The manager itself"),
    ),
    modifiers(&Security)
)]
pub struct Whole;

struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API token")).build();
        let cookie = ApiKeyValue::with_description(COOKIE, "The session of a browser");
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// The description as JSON.
#[derive(Clone)]
pub struct Description(Bytes);

impl Description {
    /// Writes a description down.
    pub fn of(openapi: &utoipa::openapi::OpenApi) -> Self {
        // A description is plain data, so it can always be written.
        Self(serde_json::to_vec(openapi).unwrap_or_default().into())
    }
}

/// This description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "manager",
    security(()),
    responses((status = 200, description = "The description of the API, as OpenAPI 3.1", body = Object)),
)]
pub async fn description(Extension(Description(json)): Extension<Description>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}
