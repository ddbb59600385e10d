//! `GET /agent/v1/blobs/{hash}`: the files that a machine should have.

use std::{
    io::{Seek, SeekFrom},
    sync::Arc,
};

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use protocol::join::{Refusal, RefusalCode};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Peer, problem::Problem};
use crate::{
    app::{App, AppError},
    pki::authority::key_hash,
};

/// How much is read and sent at a time, in bytes.
const CHUNK: usize = 64 * 1024;

/// Sends a file, or the part of it that is asked for, to an agent whose machine should have it.
pub async fn get(
    State(app): State<Arc<App>>,
    peer: Peer,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Peer::Agent { certificate: Some(certificate), .. } = peer else {
        let message = "files need the certificate that joining gives";
        return Err(Refusal::new(RefusalCode::AgentUnknown, message).into());
    };
    let bad = |_| Refusal::new(RefusalCode::BadRequest, "the certificate cannot be read");
    let agent = app.admit(&key_hash(&certificate).map_err(bad)?).await?;
    let mut blob = app.blob_for(&agent.machine, &hash).await?;
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let (status, first, length) = match range.map(|range| part(range, blob.size)) {
        None | Some(Part::Whole) => (StatusCode::OK, 0, blob.size),
        Some(Part::Of { first, length }) => (StatusCode::PARTIAL_CONTENT, first, length),
        Some(Part::Outside) => {
            let size = format!("bytes */{}", blob.size);
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, size)]).into_response());
        }
    };
    blob.file.seek(SeekFrom::Start(first)).map_err(|error| AppError::Internal(error.into()))?;
    let content = body(tokio::fs::File::from_std(blob.file).take(length));
    let mut response = (status, content).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ACCEPT_RANGES, header::HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, length.into());
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {first}-{}/{}", first + length - 1, blob.size);
        if let Ok(range) = range.parse() {
            headers.insert(header::CONTENT_RANGE, range);
        }
    }
    Ok(response)
}

/// What is read, in parts, so that a file never stands in memory as a whole.
fn body(file: impl AsyncRead + Send + Unpin + 'static) -> Body {
    Body::from_stream(stream::try_unfold(file, async |mut file| {
        let mut chunk = vec![0; CHUNK];
        let length = file.read(&mut chunk).await?;
        chunk.truncate(length);
        Ok::<_, std::io::Error>((length > 0).then_some((axum::body::Bytes::from(chunk), file)))
    }))
}

/// Which part of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Of { first: u64, length: u64 },
    Outside,
}

/// Reads a range: one from a place on, or between two. What else there is may be answered by the whole (RFC 9110).
fn part(range: &str, size: u64) -> Part {
    let numbers = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let Some((Ok(first), last)) = numbers.map(|(first, last)| (first.parse::<u64>(), last)) else { return Part::Whole };
    let last = match last {
        "" => u64::MAX,
        last => match last.parse::<u64>() {
            Ok(last) if last >= first => last,
            _ => return Part::Whole,
        },
    };
    match last.min(size.saturating_sub(1)) {
        last if first < size => Part::Of { first, length: last - first + 1 },
        _ => Part::Outside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_ranges() {
        for (range, expected) in [
            ("bytes=0-", Part::Of { first: 0, length: 10 }),
            ("bytes=4-", Part::Of { first: 4, length: 6 }),
            ("bytes=9-9", Part::Of { first: 9, length: 1 }),
            ("bytes=2-99", Part::Of { first: 2, length: 8 }),
            ("bytes=10-", Part::Outside),
            ("bytes=5-2", Part::Whole),
            ("bytes=-3", Part::Whole),
            ("bytes=0-1,4-5", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("bytes=a-b", Part::Whole),
        ] {
            assert_eq!(part(range, 10), expected, "{range}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Outside);
    }
}
