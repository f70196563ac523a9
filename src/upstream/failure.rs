//! Reads an answer that is not the one hoped for.

use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use serde::Deserialize;

use super::answer::Answer;
use super::{ErrorKind, UpstreamError};

/// No error body is read beyond this.
const BODY_LIMIT: usize = 64 * 1024;

/// The longest pause that an upstream can ask of us.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The error that an answer stands for. Reads the body only where it tells something.
pub(super) async fn of_answer(answer: Answer) -> UpstreamError {
    let place = answer.place().to_owned();
    let kind = match answer.status() {
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Denied,
        404 => {
            // A body that breaks off or is no JSON takes nothing from the 404 itself.
            let body = answer.note(BODY_LIMIT).await.unwrap_or_default();
            ErrorKind::NotFound { code: code(&body) }
        }
        429 => ErrorKind::TooManyRequests {
            retry_after: retry_after(&answer),
        },
        status if (200..400).contains(&status) => {
            return answer.error(ErrorKind::Protocol, format!("status {status}"));
        }
        status => ErrorKind::Status(status),
    };
    UpstreamError::new(kind, place)
}

/// The pause that an answer asks for.
pub(super) fn retry_after(answer: &Answer) -> Option<Duration> {
    pause(answer.header(&RETRY_AFTER)?, answer.header(&DATE))
}

/// The first code of an error body (OCI distribution spec, "Error Codes"), if it looks like one.
fn code(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        errors: Vec<Detail>,
    }
    #[derive(Deserialize)]
    struct Detail {
        code: String,
    }

    let body: Body = serde_json::from_slice(body).ok()?;
    let code = body.errors.into_iter().next()?.code;
    let proper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    (code.len() <= 64 && !code.is_empty() && code.chars().all(proper)).then_some(code)
}

/// The pause that `Retry-After` asks for: seconds, or a moment, which is taken relative to the
/// `Date` of the same answer, so that nobody's clock matters (RFC 9110 section 10.2.3).
fn pause(retry_after: &str, date: Option<&str>) -> Option<Duration> {
    let retry_after = retry_after.trim();
    let pause = if !retry_after.is_empty() && retry_after.bytes().all(|b| b.is_ascii_digit()) {
        retry_after
            .parse()
            .map_or(LONGEST_PAUSE, Duration::from_secs)
    } else {
        let until = httpdate::parse_http_date(retry_after).ok()?;
        let now = httpdate::parse_http_date(date?).ok()?;
        until.duration_since(now).unwrap_or_default()
    };
    Some(pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_code_of_an_error_body_is_read() {
        let body =
            br#"{"errors":[{"code":"NAME_UNKNOWN","message":"x","detail":null},{"code":"A"}]}"#;
        assert_eq!(code(body).as_deref(), Some("NAME_UNKNOWN"));
    }

    #[test]
    fn what_is_no_code_is_not_repeated() {
        for body in [
            &b""[..],
            b"404 page not found",
            b"<html></html>",
            br#"{"errors":[]}"#,
            br#"{"details":"not found"}"#,
            br#"{"errors":[{"code":"<script>"}]}"#,
            br#"{"errors":[{"code":""}]}"#,
        ] {
            assert_eq!(code(body), None);
        }
    }

    #[test]
    fn a_pause_is_seconds_or_a_moment() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        let seconds = |value, date| pause(value, date).map(|pause| pause.as_secs());
        assert_eq!(seconds("30", None), Some(30));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:37 GMT", date), Some(60));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT", date), Some(0));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:37 GMT", None), None);
        assert_eq!(seconds("soon", date), None);
        assert_eq!(seconds("", date), None);
    }

    #[test]
    fn a_pause_is_capped() {
        assert_eq!(pause("99999999999999999999999", None), Some(LONGEST_PAUSE));
        assert_eq!(pause("7200", None), Some(LONGEST_PAUSE));
    }
}
