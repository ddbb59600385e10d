//! Errors as `application/problem+json` (RFC 9457) with a stable `code`.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use protocol::join::{Refusal, RefusalCode};
use serde::{Deserialize, Serialize};
use utoipa::{
    ToSchema,
    openapi::schema::{ObjectBuilder, Type},
};

use super::BODY_TIMEOUT;
use crate::app::{AppError, joining::Turned, login::seconds};

/// What people and scripts may be told, as stable words.
pub const CODES: [&str; 14] = [
    "unauthorized",
    "wrong_password",
    "not_allowed",
    "cross_site",
    "no_such_target",
    "no_such_path",
    "no_such_method",
    "invalid",
    "conflict",
    "too_many_logins",
    "too_many_streams",
    "internal",
    "unavailable",
    "disk_full",
];

fn code() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(CODES))
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The status code.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What is wrong, as a stable word.
    #[schema(schema_with = code)]
    pub code: String,
    /// What is wrong, and what to do.
    pub detail: String,
    /// After how many seconds trying again helps, as the header `Retry-After` says.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// A problem.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self { status: status.as_u16(), code: code.to_owned(), detail: detail.into(), retry_after: None }
    }

    /// The answer to somebody who is not logged in.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "log in, or send an API token that is good now")
    }

    /// The answer to what a page of another site makes a browser send.
    pub fn cross_site() -> Self {
        Self::new(StatusCode::FORBIDDEN, "cross_site", "requests of other sites are refused")
    }

    /// The answer to somebody who does not send what was announced.
    pub fn late_body() -> Self {
        let detail = format!("the body of the request did not come within {} s", BODY_TIMEOUT.as_secs());
        Self::new(StatusCode::REQUEST_TIMEOUT, "invalid", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<AppError> for Problem {
    fn from(error: AppError) -> Self {
        let (status, code) = match &error {
            AppError::NotAllowed(_) => (StatusCode::FORBIDDEN, "not_allowed"),
            AppError::WrongPassword => (StatusCode::FORBIDDEN, "wrong_password"),
            AppError::NoSuchTarget(_) | AppError::NotFound => (StatusCode::NOT_FOUND, "no_such_target"),
            AppError::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid"),
            AppError::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            AppError::TooManyLogins { wait } => {
                let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_logins", error.to_string());
                return Self { retry_after: Some(seconds(*wait)), ..problem };
            }
            AppError::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
            AppError::Internal(cause) => {
                tracing::error!("a request failed: {cause:#}");
                let detail = "something went wrong in the manager; its log says what";
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail);
            }
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code {
            RefusalCode::BadRequest => StatusCode::BAD_REQUEST,
            RefusalCode::MachineNameTaken => StatusCode::CONFLICT,
            RefusalCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::FORBIDDEN,
        };
        let code = serde_json::to_value(refusal.code).ok();
        let code = code.as_ref().and_then(serde_json::Value::as_str).unwrap_or("unknown");
        Self::new(status, code, refusal.message)
    }
}

impl From<Turned> for Problem {
    fn from(turned: Turned) -> Self {
        match turned {
            Turned::Away(refusal) => refusal.into(),
            Turned::Unable(error) => Refusal::from(Unable(error)).into(),
        }
    }
}

/// What an agent is told when the manager is not able to serve it: that waiting helps, and nothing of the cause.
pub struct Unable(pub AppError);

impl From<Unable> for Refusal {
    fn from(Unable(error): Unable) -> Self {
        let message = match error {
            AppError::DiskFull => "the manager's disk is full".to_owned(),
            error => {
                tracing::error!("an agent cannot be served: {error:#}");
                "something went wrong in the manager; its log says what".to_owned()
            }
        };
        Refusal::new(RefusalCode::Unavailable, message)
    }
}

/// The answer to a method that a path does not have.
pub async fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no_such_method", "this path does not take this method")
}

/// The answer to a path that is none.
pub async fn no_such_path() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_path", "there is nothing at this path")
}
