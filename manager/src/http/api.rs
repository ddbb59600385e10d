//! `/api/v1`: status, machines, triggers, tokens.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, State, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
};
use protocol::{name::MachineName, state::Action};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

use super::{
    BODY_TIMEOUT,
    auth::Authenticated,
    openapi::answers::{BadBody, BadParameters, InTheWay, LoginNeeded, NotThere, Stored},
    problem::Problem,
};
use crate::{
    app::{App, AppError, to_the_end, tokens::Wanted},
    grid::{
        access::{Credential, Role},
        schema,
        target::Target,
        view::{MachineView, Status, TriggerResult},
    },
    store::tokens::Token,
};

type Answer<T> = Result<Json<T>, Problem>;

/// A JSON body whose mistakes are answered as problems.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let Ok(read) = tokio::time::timeout(BODY_TIMEOUT, Json::<T>::from_request(request, app)).await else {
            return Err(Problem::late_body());
        };
        match read {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection @ JsonRejection::MissingJsonContentType(_)) => {
                Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid", rejection.body_text()))
            }
            Err(JsonRejection::BytesRejection(rejection)) => {
                Err(Problem::new(rejection.status(), "invalid", rejection.body_text()))
            }
            Err(rejection) => Err(Problem::new(StatusCode::BAD_REQUEST, "invalid", rejection.body_text())),
        }
    }
}

/// The parameters of a query, whose mistakes are answered as problems.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, app).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(Problem::new(StatusCode::BAD_REQUEST, "invalid", rejection.body_text())),
        }
    }
}

/// The name or id in a path, whose mistakes are answered as problems.
pub struct Subject(String);

impl FromRequestParts<Arc<App>> for Subject {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, app).await {
            Ok(Path(text)) => Ok(Self(text)),
            Err(rejection) => Err(Problem::new(StatusCode::BAD_REQUEST, "invalid", rejection.body_text())),
        }
    }
}

fn targets(texts: &[String]) -> Result<Vec<Target>, Problem> {
    let parse = |text: &String| text.parse::<Target>().map_err(|error| AppError::Invalid(error.to_string()));
    Ok(texts.iter().map(parse).collect::<Result<_, _>>()?)
}

fn machine(text: &str) -> Result<MachineName, Problem> {
    Ok(text.parse::<MachineName>().map_err(|error| AppError::Invalid(error.to_string()))?)
}

/// A machine in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "it describes what `Subject` takes")]
pub struct MachinePath {
    /// The machine's name.
    #[param(inline, value_type = schema::MachineName)]
    name: String,
}

/// What `GET /status` takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatusQuery {
    /// Targets, divided by commas; everything without it.
    #[serde(default)]
    #[param(example = "all,@web-1", pattern = r"^[A-Za-z0-9._@#,-]*$")]
    targets: String,
}

/// The status of the grid, or of targets.
#[utoipa::path(
    get,
    path = "/status",
    tag = "status",
    params(StatusQuery),
    responses((status = 200, description = "What is", body = Status), BadParameters, NotThere, LoginNeeded),
)]
pub async fn status(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(query): Params<StatusQuery>,
) -> Answer<Status> {
    let texts: Vec<String> = query.targets.split(',').filter(|text| !text.is_empty()).map(str::to_owned).collect();
    Ok(Json(app.status(&caller, &targets(&texts)?)?))
}

/// Every machine.
#[utoipa::path(
    get,
    path = "/machines",
    tag = "machines",
    responses((status = 200, description = "The machines, by name", body = Vec<MachineView>), LoginNeeded),
)]
pub async fn machines(State(app): State<Arc<App>>, Authenticated(caller): Authenticated) -> Answer<Vec<MachineView>> {
    Ok(Json(app.machines(&caller)?))
}

/// What `DELETE /machines/{name}` takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RemoveQuery {
    /// Also one whose agent is linked.
    #[serde(default)]
    force: bool,
}

/// Removes a machine.
///
/// Its services go with it, and its agent is turned away. One whose agent is linked is removed only by `force`.
#[utoipa::path(
    delete,
    path = "/machines/{name}",
    tag = "machines",
    params(MachinePath, RemoveQuery),
    responses(
        (status = 204, description = "It is removed"),
        BadParameters,
        NotThere,
        InTheWay,
        Stored,
        LoginNeeded,
    ),
)]
pub async fn remove_machine(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(name): Subject,
    Params(query): Params<RemoveQuery>,
) -> Result<StatusCode, Problem> {
    let name = machine(&name)?;
    to_the_end(async move { app.remove_machine(&caller, &name, query.force).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revokes the agent of a machine.
///
/// Its link ends at once, and its key is never taken again. The machine stays until it is removed.
#[utoipa::path(
    post,
    path = "/machines/{name}/revoke",
    tag = "machines",
    params(MachinePath),
    responses((status = 204, description = "It is revoked"), BadParameters, NotThere, InTheWay, Stored, LoginNeeded),
)]
pub async fn revoke_machine(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(name): Subject,
) -> Result<StatusCode, Problem> {
    let name = machine(&name)?;
    to_the_end(async move { app.revoke_machine(&caller, &name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is to be triggered.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerRequest {
    /// What to deliver.
    #[schema(value_type = schema::Action)]
    pub action: Action,
    /// To what.
    #[schema(value_type = Vec<schema::Target>, min_items = 1, max_items = 1000)]
    pub targets: Vec<String>,
    /// Say only what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of triggers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TriggerResponse {
    /// What became of it, on each service.
    pub results: Vec<TriggerResult>,
}

/// Triggers services: delivers a signal to each, and says what became of it.
///
/// The answer comes when every agent has said so, at the latest after 40 s. What a service does then is told by events.
#[utoipa::path(
    post,
    path = "/trigger",
    tag = "services",
    request_body = TriggerRequest,
    responses(
        (status = 200, description = "What became of it, on each service", body = TriggerResponse),
        BadBody,
        NotThere,
        LoginNeeded,
    ),
)]
pub async fn trigger(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Body(request): Body<TriggerRequest>,
) -> Answer<TriggerResponse> {
    if request.targets.is_empty() {
        return Err(AppError::Invalid("name at least one target".to_owned()).into());
    }
    let targets = targets(&request.targets)?;
    let results =
        to_the_end(async move { app.trigger(&caller, request.action, &targets, request.dry_run).await }).await?;
    Ok(Json(TriggerResponse { results }))
}

/// The token that is to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum TokenRequest {
    /// A join token.
    Join {
        /// How long it lives, in seconds.
        #[schema(minimum = 1, maximum = 315360000)]
        ttl_seconds: u64,
        /// How many machines it may serve.
        #[schema(minimum = 1, maximum = 4294967295_u64)]
        uses: u32,
        /// The only machine it serves.
        #[serde(default)]
        #[schema(value_type = Option<schema::MachineName>)]
        machine: Option<MachineName>,
    },
    /// An API token.
    Api {
        /// How long it lives, in seconds.
        #[schema(minimum = 1, maximum = 315360000)]
        ttl_seconds: u64,
        /// The role it gives.
        role: Role,
    },
}

/// A token that was made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenResponse {
    /// The token.
    #[serde(flatten)]
    pub token: Token,
    /// The token itself, shown this once.
    pub secret: String,
}

/// Makes a token.
#[utoipa::path(
    post,
    path = "/tokens",
    tag = "access",
    request_body = TokenRequest,
    responses(
        (status = 201, description = "The token, with its secret, which is shown this once", body = TokenResponse),
        BadBody,
        Stored,
        LoginNeeded,
    ),
)]
pub async fn create_token(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Body(request): Body<TokenRequest>,
) -> Result<(StatusCode, Json<TokenResponse>), Problem> {
    let (wanted, seconds) = match request {
        TokenRequest::Join { ttl_seconds, uses, machine } => (Wanted::Join { uses, machine }, ttl_seconds),
        TokenRequest::Api { ttl_seconds, role } => (Wanted::Api { role }, ttl_seconds),
    };
    let ttl = Duration::from_secs(seconds);
    let (token, secret) = to_the_end(async move { app.create_token(&caller, wanted, ttl).await }).await?;
    Ok((StatusCode::CREATED, Json(TokenResponse { token, secret })))
}

/// Every token, without their secrets.
#[utoipa::path(
    get,
    path = "/tokens",
    tag = "access",
    responses((status = 200, description = "The tokens, oldest first", body = Vec<Token>), LoginNeeded),
)]
pub async fn tokens(State(app): State<Arc<App>>, Authenticated(caller): Authenticated) -> Answer<Vec<Token>> {
    Ok(Json(app.tokens(&caller).await?))
}

/// Revokes a token.
#[utoipa::path(
    delete,
    path = "/tokens/{id}",
    tag = "access",
    params(("id" = String, Path, description = "The token's id", min_length = 1)),
    responses((status = 204, description = "It is revoked"), BadParameters, NotThere, Stored, LoginNeeded),
)]
pub async fn revoke_token(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(id): Subject,
) -> Result<StatusCode, Problem> {
    to_the_end(async move { app.revoke_token(&caller, &id).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who calls.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Whoami {
    /// The name.
    pub name: String,
    /// The role.
    pub role: Option<Role>,
    /// By what the caller was recognised: `socket`, `token` or `session`.
    #[schema(value_type = Credential)]
    pub credential: String,
    /// The grid.
    pub grid: String,
}

/// Who calls, and what they may do.
#[utoipa::path(
    get,
    path = "/whoami",
    tag = "access",
    responses((status = 200, description = "Who calls", body = Whoami), LoginNeeded),
)]
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
