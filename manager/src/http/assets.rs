//! The pages: `web/`, embedded in the binary, read from disk in debug builds.

use axum::{
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use rust_embed::RustEmbed;

use super::problem;

#[derive(RustEmbed)]
#[folder = "../web"]
struct Web;

/// Serves a file of `web/`.
pub async fn serve(uri: Uri) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let kind = match path.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => return problem::no_such_path().await.into_response(),
    };
    match Web::get(path) {
        Some(file) => (StatusCode::OK, [(header::CONTENT_TYPE, kind)], file.data).into_response(),
        None => problem::no_such_path().await.into_response(),
    }
}
