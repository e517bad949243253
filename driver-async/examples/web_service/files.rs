//! Files from GridFS as browsers ask for them: whole, in part, or only if they have changed.

use std::io;

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use motorcade::{
    bson::Bson,
    gridfs::{GridFsBucket, GridFsDownloadStream},
};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::Failure;

/// How much is sent at a time, at most.
const PART: usize = 64 * 1024;

/// The newest file of that name. A HEAD request gets the same without the content, and neither it
/// nor one for a file that has not changed reads any of that.
pub(super) async fn read(
    State(files): State<GridFsBucket>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let mut file = files.open_download_stream_by_name(&name).await?;
    let length = file.file().length;
    // What is stored under an id never changes.
    let tag = match &file.file().id {
        Bson::ObjectId(id) => format!("\"{id}\""),
        other => format!("\"{}\"", other.to_string().replace('"', "'")),
    };
    let asked = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let is_known = asked(header::IF_NONE_MATCH).is_some_and(|known| {
        known
            .split(',')
            .any(|it| it.trim() == tag || it.trim() == "*")
    });
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    // A part of another file than the one that the browser has begins with the whole.
    let is_same = asked(header::IF_RANGE).is_none_or(|known| known == tag);
    let range = asked(header::RANGE).filter(|_| is_same);
    let (status, start, end) = match range.and_then(|range| parse(range, length)) {
        Some(Some((start, end))) => (StatusCode::PARTIAL_CONTENT, start, end),
        Some(None) => {
            let range = [(header::CONTENT_RANGE, format!("bytes */{length}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, range).into_response());
        }
        None => (StatusCode::OK, 0, length),
    };
    file.seek(io::SeekFrom::Start(start)).await?;
    let mut response = (
        status,
        [
            (header::ETAG, tag),
            (header::ACCEPT_RANGES, "bytes".to_owned()),
            (header::CONTENT_LENGTH, (end - start).to_string()),
            (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        ],
        content(file, end - start),
    )
        .into_response();
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(range) = format!("bytes {start}-{}/{length}", end - 1).parse()
    {
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    Ok(response)
}

/// So many bytes from where the file stands, read as they are sent.
fn content(file: GridFsDownloadStream, length: u64) -> Body {
    let parts = stream::try_unfold(file.take(length), |mut rest| async move {
        let mut part = Vec::with_capacity(PART);
        let count = rest.read_buf(&mut part).await?;
        Ok::<_, io::Error>((count > 0).then_some((part, rest)))
    });
    Body::from_stream(parts)
}

/// The first byte that is asked for and the one after the last; `Some(None)` when the file has no
/// such bytes. What is not one range of bytes counts as not asked for, as HTTP allows.
fn parse(range: &str, length: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = range.strip_prefix("bytes=")?.trim().split_once('-')?;
    let (start, end) = match (first, last) {
        ("", last) => (length.saturating_sub(last.parse().ok()?), length),
        (first, "") => (first.parse().ok()?, length),
        (first, last) => {
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            if last < first {
                return None;
            }
            (first, last.saturating_add(1).min(length))
        }
    };
    Some((start < end).then_some((start, end)))
}
