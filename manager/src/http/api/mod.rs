//! `/api/v1`: one file for each part of it, and what all of them read requests with.

pub mod audit;
pub mod collections;
pub mod config;
pub mod explain;
pub mod hooks;
pub mod journal;
pub mod machines;
pub mod me;
pub mod operation_stream;
pub mod operations;
pub mod page;
pub mod schedules;
pub mod status;
pub mod tags;
pub mod tokens;
pub mod triggers;
pub mod users;

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
};
use protocol::name::MachineName;
use serde::de::DeserializeOwned;

use super::{BODY_TIMEOUT, problem::Problem};
use crate::{
    app::{App, AppError},
    grid::target::Target,
};

/// What most handlers answer.
pub type Answer<T> = Result<Json<T>, Problem>;

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
pub struct Subject(pub String);

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
