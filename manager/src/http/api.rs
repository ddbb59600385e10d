//! `/api/v1`: status, machines, triggers, tokens.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, State, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
};
use protocol::{name::MachineName, state::Action};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{BODY_TIMEOUT, auth::Authenticated, page::PageQuery, problem::Problem};
use crate::{
    app::{App, AppError, to_the_end, tokens::Wanted},
    grid::{
        access::{Credential, Role},
        page::Page,
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

/// What `GET /status` takes.
#[derive(Debug, Default, Deserialize)]
pub struct StatusQuery {
    /// Targets, divided by commas; everything without it.
    #[serde(default)]
    targets: String,
}

/// `GET /status`
pub async fn status(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(query): Params<StatusQuery>,
) -> Answer<Status> {
    let texts: Vec<String> = query.targets.split(',').filter(|text| !text.is_empty()).map(str::to_owned).collect();
    Ok(Json(app.status(&caller, &targets(&texts)?)?))
}

/// `GET /machines`
pub async fn machines(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(page): Params<PageQuery>,
) -> Answer<Page<MachineView>> {
    let after = page.cursor::<MachineName>()?;
    let name = |machine: &MachineView| machine.name.to_string();
    Ok(Json(Page::of(app.machines(&caller)?, name, after.as_ref().map(MachineName::as_str), page.limit())))
}

/// What `DELETE /machines/{name}` takes.
#[derive(Debug, Default, Deserialize)]
pub struct RemoveQuery {
    /// Also one whose agent is linked.
    #[serde(default)]
    force: bool,
}

/// `DELETE /machines/{name}`
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

/// `POST /machines/{name}/revoke`
pub async fn revoke_machine(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(name): Subject,
) -> Result<StatusCode, Problem> {
    let name = machine(&name)?;
    to_the_end(async move { app.revoke_machine(&caller, &name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What `POST /trigger` takes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriggerRequest {
    /// What to deliver.
    pub action: Action,
    /// To what.
    pub targets: Vec<String>,
    /// Say only what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct TriggerResponse {
    /// What became of it, on each service.
    pub results: Vec<TriggerResult>,
}

/// `POST /trigger`
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

/// What `POST /tokens` takes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum TokenRequest {
    /// A join token.
    Join {
        /// How long it lives, in seconds.
        ttl_seconds: u64,
        /// How many machines it may serve.
        uses: u32,
        /// The only machine it serves.
        #[serde(default)]
        machine: Option<MachineName>,
    },
    /// An API token.
    Api {
        /// How long it lives, in seconds.
        ttl_seconds: u64,
        /// The role it gives.
        role: Role,
    },
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct TokenResponse {
    /// The token.
    #[serde(flatten)]
    pub token: Token,
    /// The token itself, shown this once.
    pub secret: String,
}

/// `POST /tokens`
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

/// `GET /tokens`
pub async fn tokens(State(app): State<Arc<App>>, Authenticated(caller): Authenticated) -> Answer<Vec<Token>> {
    Ok(Json(app.tokens(&caller).await?))
}

/// `DELETE /tokens/{id}`
pub async fn revoke_token(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(id): Subject,
) -> Result<StatusCode, Problem> {
    to_the_end(async move { app.revoke_token(&caller, &id).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

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
