//! `/api/v1/journal`: what happened.

use std::{fmt, str::FromStr, sync::Arc};

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use protocol::name::{MachineName, ServiceName};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Params, page::PageQuery};
use crate::{
    app::{App, AppError},
    grid::{
        event::{Event, EventId},
        page::Page,
        schema,
        search::{self, EventFilter},
    },
    http::{
        auth::Authenticated,
        openapi::answers::{BadParameters, LoginNeeded},
        problem::Problem,
    },
    store::journal::Span,
};

/// What `GET /journal` takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct JournalQuery {
    /// Which part.
    #[serde(flatten)]
    #[param(ignore)]
    page: PageQuery,
    /// Events after this one, oldest first.
    #[param(inline, value_type = Option<schema::EventId>)]
    since: Option<String>,
    /// Events before this one.
    #[param(inline, value_type = Option<schema::EventId>)]
    before: Option<String>,
    /// Kinds, divided by commas; one that ends with `.` stands for all that begin so.
    #[serde(default)]
    #[param(inline, value_type = schema::Kinds)]
    kind: String,
    /// About a service.
    #[param(inline, value_type = Option<schema::ServiceName>)]
    service: Option<ServiceName>,
    /// About a machine or a service of it.
    #[param(inline, value_type = Option<schema::MachineName>)]
    machine: Option<MachineName>,
    /// Done by somebody.
    actor: Option<String>,
    /// Of a service that is in a state.
    #[param(inline, value_type = Option<schema::State>)]
    state: Option<protocol::state::State>,
}

/// Where a list goes on, and in which order: opaque to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cursor {
    Up(u64),
    Down(u64),
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cursor::Up(seq) => write!(f, "u{seq}"),
            Cursor::Down(seq) => write!(f, "d{seq}"),
        }
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = |text: &str| text.parse().map_err(drop);
        match (text.strip_prefix('u'), text.strip_prefix('d')) {
            (Some(seq), _) => number(seq).map(Cursor::Up),
            (_, Some(seq)) => number(seq).map(Cursor::Down),
            (None, None) => Err(()),
        }
    }
}

impl JournalQuery {
    fn span(&self) -> Result<Span, AppError> {
        let number = |text: &Option<String>| -> Result<Option<u64>, AppError> {
            let id = text.as_ref().map(|text| text.parse::<EventId>().map_err(AppError::Invalid)).transpose()?;
            Ok(id.map(|id| id.seq))
        };
        let (since, before) = (number(&self.since)?, number(&self.before)?.unwrap_or(u64::MAX));
        match (since, self.page.cursor::<Cursor>()?) {
            (Some(after), None) => Ok(Span::Up { after, before }),
            (Some(_), Some(Cursor::Up(after))) => Ok(Span::Up { after, before }),
            (None, None) => Ok(Span::Down { before }),
            (None, Some(Cursor::Down(before))) => Ok(Span::Down { before }),
            (Some(_), Some(Cursor::Down(_))) | (None, Some(Cursor::Up(_))) => {
                Err(AppError::Invalid("the cursor is of a list in another order: repeat `since` with it".to_owned()))
            }
        }
    }
}

/// What happened: after `since` oldest first, else the latest first.
#[utoipa::path(
    get,
    path = "/journal",
    tag = "status",
    operation_id = "journal",
    params(JournalQuery, PageQuery),
    responses((status = 200, description = "A part of it", body = Page<Event>), BadParameters, LoginNeeded),
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(query): Params<JournalQuery>,
) -> Result<Response, Problem> {
    let span = query.span()?;
    let limit = query.page.limit();
    let kinds = search::kinds(&query.kind).map_err(AppError::Invalid)?;
    let JournalQuery { service, machine, actor, state, .. } = query;
    let filter = EventFilter { kinds, service, machine, actor, state };
    let (bodies, next) = app.past_events(&caller, &filter, span, limit).await?;
    let next = next.map(|seq| match span {
        Span::Up { .. } => Cursor::Up(seq),
        Span::Down { .. } => Cursor::Down(seq),
    });
    // The events are JSON already; a cursor is plain text.
    let next = next.map_or_else(|| "null".to_owned(), |next| format!("\"{next}\""));
    let json = format!("{{\"items\":[{}],\"next\":{next}}}", bodies.join(","));
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], json).into_response())
}

#[cfg(test)]
mod tests {
    use axum::{extract::Query, http::Uri};

    use super::*;

    #[test]
    fn the_table_of_spans() {
        let up = |after, before| Some(Span::Up { after, before });
        let down = |before| Some(Span::Down { before });
        for (query, span) in [
            ("", down(u64::MAX)),
            ("before=1-9&state=stopped&service=a@web-1&kind=trigger", down(9)),
            ("before=1-9&cursor=d5", down(5)),
            ("since=1-3", up(3, u64::MAX)),
            ("since=1-3&before=1-9&limit=2", up(3, 9)),
            ("since=1-3&before=1-9&cursor=u5", up(5, 9)),
            ("since=1-3&cursor=d5", None),
            ("cursor=u5", None),
            ("cursor=5", None),
            ("cursor=u", None),
            ("since=yesterday", None),
            ("before=9", None),
        ] {
            let uri: Uri = format!("/journal?{query}").parse().unwrap();
            let Query(read) = Query::<JournalQuery>::try_from_uri(&uri).unwrap();
            assert_eq!(read.span().ok(), span, "{query}");
        }
    }
}
