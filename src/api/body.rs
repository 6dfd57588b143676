//! Response bodies. Compressed ones are decoded as they arrive.
//!
//! The engine decodes them itself, so that the headers stay as the backend sent them, as with `fetch`, and so
//! that it supports every coding that `fetch` does.

use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use async_compression::tokio::bufread::{
    BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder,
};
use async_compression::zstd::DParameter;
use bytes::Bytes;
use futures::future::Either;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader};
use tokio::time::timeout;
use tokio_util::io::{ReaderStream, StreamReader};

use super::http::network_error;
use crate::error::{Error, Result};
use crate::json::without_bom;

/// How much of an error response's body is read, in bytes.
const REFUSAL_LIMIT: usize = 64 * 1024;

/// How long to read an error response's body, which may never end.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// The largest response that is read into memory, in bytes.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// How many codings can be nested, as in `fetch`.
const MOST_CODINGS: usize = 5;
/// The size of the pieces of a decoded body, in bytes.
const PIECE: usize = 16 * 1024;
/// The largest window that a zstd frame may allocate, as a power of two (RFC 9659).
const ZSTD_WINDOW: u32 = 23;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    fn of(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "br" => Self::Brotli,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }
}

/// The body of a response, as it arrives.
pub fn body(response: reqwest::Response) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    match codings(response.headers()) {
        Ok(codings) if codings.is_empty() => Either::Left(
            response
                .bytes_stream()
                .map(|read| read.map_err(|error| network_error(&error))),
        ),
        Ok(codings) => Either::Right(decoded(response, codings).boxed()),
        Err(error) => Either::Right(stream::iter([Err(error)]).boxed()),
    }
}

/// The codings of a body, with the one to undo first in front. An unknown coding leaves the body as it is, as
/// in `fetch`.
fn codings(headers: &HeaderMap) -> Result<Vec<Coding>> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let names = value.to_str().unwrap_or("unreadable").split(',');
        for name in names.map(str::trim) {
            if name.is_empty() || name.eq_ignore_ascii_case("identity") {
                continue;
            }
            let Some(coding) = Coding::of(name) else {
                return Ok(Vec::new());
            };
            codings.push(coding);
        }
    }
    if codings.len() > MOST_CODINGS {
        let message = format!("the answer is encoded {} times over", codings.len());
        return Err(undecodable(message));
    }
    codings.reverse();
    Ok(codings)
}

type Reader = Pin<Box<dyn AsyncBufRead + Send>>;

fn decoded(
    response: reqwest::Response,
    codings: Vec<Coding>,
) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    let bytes = response
        .bytes_stream()
        .map(|read| read.map_err(io::Error::other));
    let reader: Reader = Box::pin(StreamReader::new(bytes));
    stream::once(open(reader, codings))
        .try_flatten()
        .map_err(|error| {
            // Network errors pass through the decoders unchanged.
            match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                Some(inner) => network_error(inner),
                None => undecodable(format!("the compressed answer is broken: {error}")),
            }
        })
}

async fn open(
    mut reader: Reader,
    codings: Vec<Coding>,
) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send> {
    for coding in codings {
        // An empty body is valid, whatever its headers declare.
        let Some(first) = reader.fill_buf().await?.first().copied() else {
            break;
        };
        reader = decoder(coding, first, reader);
    }
    Ok(ReaderStream::with_capacity(reader, PIECE))
}

fn decoder(coding: Coding, first: u8, inner: Reader) -> Reader {
    match coding {
        Coding::Gzip => {
            let mut decoder = GzipDecoder::new(inner);
            decoder.multiple_members(true);
            buffered(decoder)
        }
        // Some servers omit the zlib header, whose first byte holds the compression method.
        Coding::Deflate if first & 0x0f == 8 => buffered(ZlibDecoder::new(inner)),
        Coding::Deflate => buffered(DeflateDecoder::new(inner)),
        Coding::Brotli => buffered(BrotliDecoder::new(inner)),
        Coding::Zstd => {
            let window = [DParameter::window_log_max(ZSTD_WINDOW)];
            let mut decoder = ZstdDecoder::with_params(inner, &window);
            decoder.multiple_members(true);
            buffered(decoder)
        }
    }
}

fn buffered(decoder: impl AsyncRead + Send + 'static) -> Reader {
    Box::pin(BufReader::new(decoder))
}

fn undecodable(message: String) -> Error {
    Error::Network {
        code: Some("EPROTO".to_owned()),
        message,
    }
}

/// The beginning of an error response's body, long enough for a message. The rest may be endless or never
/// arrive.
pub async fn beginning(response: reqwest::Response) -> String {
    let mut text = Vec::new();
    let reading = async {
        let mut body = pin!(body(response));
        while text.len() < REFUSAL_LIMIT {
            match body.next().await {
                Some(Ok(chunk)) => text.extend_from_slice(&chunk),
                _ => break,
            }
        }
    };
    // When the time is up, use whatever has arrived.
    let _ = timeout(REFUSAL_TIME, reading).await;
    text.truncate(REFUSAL_LIMIT);
    as_text(&text)
}

/// Reads a whole body.
///
/// # Errors
/// [`Error::Network`], also when the decoded body is larger than [`ANSWER_LIMIT`].
pub async fn text(response: reqwest::Response) -> Result<String> {
    let mut text = Vec::new();
    let mut body = pin!(body(response));
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        if text.len() + chunk.len() > ANSWER_LIMIT {
            return Err(Error::plain(format!(
                "The answer is larger than the limit of {} MiB",
                ANSWER_LIMIT / (1024 * 1024)
            )));
        }
        text.extend_from_slice(&chunk);
    }
    Ok(as_text(&text))
}

/// Decodes text like `Response.text()`: without a byte order mark.
fn as_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(without_bom(bytes)).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn codings_are_undone_from_the_last_to_the_first() {
        use Coding::{Brotli, Deflate, Gzip, Zstd};
        let cases: [(&[&str], &[Coding]); 8] = [
            (&[], &[]),
            (&["identity"], &[]),
            (&["gzip"], &[Gzip]),
            (&["X-GZip"], &[Gzip]),
            (&["gzip, br"], &[Brotli, Gzip]),
            (&["deflate", "identity , zstd"], &[Zstd, Deflate]),
            (&["gzip, compress"], &[]),
            (&[""], &[]),
        ];
        for (values, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(codings(&headers).unwrap(), expected, "{values:?}");
        }
    }

    #[test]
    fn a_body_encoded_over_and_over_is_refused() {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_static("gzip,gzip,gzip,gzip,gzip,gzip");
        headers.insert(CONTENT_ENCODING, value);
        assert!(codings(&headers).is_err());
    }
}
