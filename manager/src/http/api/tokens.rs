//! `/api/v1/tokens`

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use protocol::name::MachineName;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use utoipa::{IntoParams, ToSchema};

use super::{Answer, Body, Params, Subject, page::PageQuery, targets};
use crate::{
    app::{App, to_the_end, tokens::Wanted},
    grid::{access::Role, page::Page, schema},
    http::{
        auth::Authenticated,
        openapi::answers::{BadBody, BadParameters, InTheWay, LoginNeeded, NotThere, Stored},
        problem::Problem,
    },
    store::tokens::{Token, TokenType},
};

/// Reads a whole number. What JSON calls one may be written with a point and zeros.
fn whole<'de, D: Deserializer<'de>, T: TryFrom<u64>>(deserializer: D) -> Result<T, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let written = number.as_f64().filter(|number| number.fract() == 0.0).map(|number| format!("{number:.0}"));
    let number = number.as_u64().or_else(|| written?.parse().ok());
    let number = number.and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| D::Error::custom("a number that is whole, and not negative nor too large, was expected"))
}

/// The token that is to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum TokenRequest {
    /// A join token.
    Join {
        /// How long it lives, in seconds.
        #[schema(minimum = 1, maximum = 315360000)]
        #[serde(deserialize_with = "whole")]
        ttl_seconds: u64,
        /// How many machines it may serve.
        #[schema(minimum = 1, maximum = 4294967295_u64)]
        #[serde(deserialize_with = "whole")]
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
        #[serde(deserialize_with = "whole")]
        ttl_seconds: u64,
        /// The role it gives.
        role: Role,
        /// The only targets it is for; everything without it.
        #[serde(default)]
        #[schema(value_type = Option<Vec<schema::Target>>, min_items = 1, max_items = 100)]
        targets: Option<Vec<String>>,
        /// What it is for, in words.
        #[serde(default)]
        #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
        description: String,
        /// The user whose it is to be; the caller's own without it.
        #[serde(default)]
        #[schema(value_type = Option<schema::UserName>)]
        owner: Option<String>,
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
///
/// Users may make API tokens for themselves, up to their own role; admins also join tokens, and API tokens of others.
/// With an API token no API tokens are made, and join tokens that end with it at the latest.
#[utoipa::path(
    post,
    path = "/tokens",
    tag = "access",
    request_body = TokenRequest,
    responses(
        (status = 201, description = "The token, with its secret, which is shown this once", body = TokenResponse),
        BadBody,
        NotThere,
        InTheWay,
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
        TokenRequest::Api { ttl_seconds, role, targets: texts, description, owner } => {
            let targets = texts.map(|texts| targets(&texts)).transpose()?;
            (Wanted::Api { role, targets, description, owner }, ttl_seconds)
        }
    };
    let ttl = Duration::from_secs(seconds);
    let (token, secret) = to_the_end(async move { app.create_token(&caller, wanted, ttl).await }).await?;
    Ok((StatusCode::CREATED, Json(TokenResponse { token, secret })))
}

/// What `GET /tokens` takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TokensQuery {
    /// Only tokens of this type.
    #[param(inline)]
    r#type: Option<TokenType>,
    /// Which part.
    #[serde(flatten)]
    #[param(ignore)]
    page: PageQuery,
}

/// The tokens, without their secrets: all for an admin, and for others their own.
#[utoipa::path(
    get,
    path = "/tokens",
    tag = "access",
    params(TokensQuery, PageQuery),
    responses((status = 200, description = "A part of them, oldest first", body = Page<Token>), BadParameters, LoginNeeded),
)]
pub async fn tokens(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(query): Params<TokensQuery>,
) -> Answer<Page<Token>> {
    Ok(Json(app.tokens(&caller, query.r#type, query.page.text(), query.page.limit()).await?))
}

/// Revokes a token: one of the caller's own, or as an admin any.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_whole_numbers() {
        let read = |uses: &str| {
            let json = format!(r#"{{"type": "join", "ttl_seconds": 60, "uses": {uses}}}"#);
            match serde_json::from_str(&json).ok()? {
                TokenRequest::Join { uses, .. } => Some(uses),
                TokenRequest::Api { .. } => None,
            }
        };
        for (text, number) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("7.0", Some(7)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("-1", None),
            ("1.5", None),
            ("1e300", None),
            ("\"7\"", None),
            ("null", None),
        ] {
            assert_eq!(read(text), number, "{text}");
        }
    }
}
