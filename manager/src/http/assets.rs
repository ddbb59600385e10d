//! The pages: `web/`, embedded in the binary, read from disk in debug builds.

use axum::{
    Router,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use rust_embed::RustEmbed;
use tower_http::compression::CompressionLayer;

use super::problem;

#[derive(RustEmbed)]
#[folder = "../web"]
struct Web;

/// Serves the files of `web/`, compressed for those who take it. Nothing of a caller is in them, so that their size
/// tells nothing.
pub fn router() -> Router {
    Router::new().fallback(serve).layer(CompressionLayer::new())
}

/// Serves a file, or says that a browser's copy of it is still right.
async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let (Some(kind), Some(file)) = (kind(path), Web::get(path)) else {
        return problem::no_such_path().await.into_response();
    };
    if method != Method::GET && method != Method::HEAD {
        return problem::no_such_method().await.into_response();
    }
    let tag = entity_tag(&file.metadata.sha256_hash());
    // A copy is good as long as the manager says so: a newer manager's page must not be mixed with an older one's.
    let about = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    let copy = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    if copy.flat_map(|tags| tags.split(',')).any(|known| known.trim().trim_start_matches("W/") == tag) {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (StatusCode::OK, about, [(header::CONTENT_TYPE, kind)], file.data).into_response()
}

fn entity_tag(hash: &[u8; 32]) -> HeaderValue {
    let hex: String = hash[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn kind(path: &str) -> Option<&'static str> {
    match path.rsplit_once('.')?.1 {
        "html" => Some("text/html; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        "json" => Some("application/json"),
        "txt" => Some("text/plain; charset=utf-8"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;

    use super::*;

    async fn ask(path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_copy_that_is_right_is_not_sent_again() {
        let first = ask("/", &[("accept-encoding", "gzip")]).await;
        assert_eq!(first.headers()[header::CONTENT_ENCODING], "gzip");
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        assert_eq!(ask("/index.html", &[("if-none-match", &tag)]).await.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(ask("/", &[("if-none-match", "\"other\"")]).await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn files_are_only_read() {
        let request = Request::post("/").body(Body::empty()).unwrap();
        let answer = router().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
    }

    #[tokio::test]
    async fn nothing_else_is_served() {
        for path in ["/nothing.js", "/../Cargo.toml", "/%2e%2e/Cargo.toml", "/vendor", "//etc/passwd", "/.."] {
            assert_eq!(ask(path, &[]).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
