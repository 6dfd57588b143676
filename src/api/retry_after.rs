//! `Retry-After` of a 429 or 503: the smallest delay that the backend asks for (RFC 9110, T25).

use std::time::{Duration, SystemTime};

use reqwest::header::RETRY_AFTER;

/// The response's lower bound for the delay, if it has one.
pub fn of(response: &reqwest::Response) -> Option<Duration> {
    if !matches!(response.status().as_u16(), 429 | 503) {
        return None;
    }
    parse(
        response.headers().get(RETRY_AFTER)?.to_str().ok()?,
        SystemTime::now(),
    )
}

/// Parses seconds, or an HTTP date relative to `now`.
fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(
            value.parse().unwrap_or(u64::from(u32::MAX)),
        ));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t25_seconds_and_dates_are_read_and_anything_else_is_no_bound() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT")
            .unwrap_or(SystemTime::UNIX_EPOCH);
        assert_eq!(parse(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(
            parse("Sun, 06 Nov 1994 08:49:40 GMT", now),
            Some(Duration::from_secs(3))
        );
        assert_eq!(
            parse("Sun, 06 Nov 1994 08:49:30 GMT", now),
            Some(Duration::ZERO)
        );
        assert_eq!(
            parse("99999999999999999999999", now),
            Some(Duration::from_secs(u32::MAX.into()))
        );
        for bad in ["", "-1", "1.5", "soon"] {
            assert_eq!(parse(bad, now), None, "{bad}");
        }
    }
}
