//! The types that one value of the file can be read as, each with what it asks of the value.
//!
//! A reason continues a sentence that begins with the value as the file has it: `"60x"` *is not a
//! duration*. It is fixed text, so nothing that came out of a variable can end up in it.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use tracing::Level;

use super::upstream_name::{UpstreamName, UpstreamNameError, is_host_and_port};
use crate::oci::Pattern;

/// A TOML value; text has its variables replaced.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Integer(i64),
    Float(f64),
    Flag(bool),
    /// A date, a list, a table, or an integer of more than 64 bits: no setting is one.
    Other,
}

/// Why a value was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: &'static str,
    /// The value itself may hold a secret and is left out of the message.
    pub(super) is_private: bool,
}

impl From<&'static str> for Refusal {
    fn from(reason: &'static str) -> Self {
        Self {
            reason,
            is_private: false,
        }
    }
}

impl Refusal {
    pub(super) fn private(reason: &'static str) -> Self {
        Self {
            reason,
            is_private: true,
        }
    }
}

/// A type that a value can be read as.
pub(super) trait Setting: Sized {
    fn read(value: Value<'_>) -> Result<Self, Refusal>;
}

impl<'a> Value<'a> {
    /// The text, if it is one and not empty.
    pub(super) fn text(self, reason: &'static str) -> Result<&'a str, Refusal> {
        match self {
            Self::Text(text) if !text.is_empty() => Ok(text),
            _ => Err(reason.into()),
        }
    }
}

impl Setting for bool {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        match value {
            Value::Flag(flag) => Ok(flag),
            _ => Err("is not true or false".into()),
        }
    }
}

impl Setting for NonZeroUsize {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let Value::Integer(number) = value else {
            return Err("is not a whole number".into());
        };
        usize::try_from(number)
            .ok()
            .and_then(NonZeroUsize::new)
            .ok_or_else(|| "is not a whole number of at least 1".into())
    }
}

impl Setting for u32 {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        match value {
            Value::Integer(number) => u32::try_from(number)
                .map_err(|_| "is not a whole number from 0 to 4294967295".into()),
            _ => Err("is not a whole number".into()),
        }
    }
}

impl Setting for Pattern {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not a pattern: write a glob of at most 255 characters, such as \"v*\" or \"library/*\"";
        Ok(value.text(reason)?.parse().map_err(|_| reason)?)
    }
}

impl Setting for Duration {
    /// Bounded, so that a moment can be moved by it without leaving the range of the clock.
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        const LONGEST: Duration = Duration::from_hours(1000 * 365 * 24);
        let reason = "is not a duration: write a number and a unit, such as \"60s\" or \"7d\"";
        let text = value.text(reason)?;
        let duration = humantime::parse_duration(text).map_err(|_| reason)?;
        if duration > LONGEST {
            return Err("is longer than 1000 years".into());
        }
        Ok(duration)
    }
}

/// A time-out: a duration that is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeOut(pub(super) Duration);

impl Setting for TimeOut {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let duration = Duration::read(value)?;
        if duration.is_zero() {
            return Err("is not a time-out: it must be longer than 0s".into());
        }
        Ok(Self(duration))
    }
}

impl Setting for ByteSize {
    /// Text needs a unit; a bare integer is bytes.
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not a size: write a number and a unit, such as \"50GiB\"";
        match size(value) {
            Some(ByteSize(0)) => Err("is not a size: it must be more than 0".into()),
            Some(size) => Ok(size),
            None => Err(reason.into()),
        }
    }
}

/// A limit in bytes; 0 stands for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit(pub(super) Option<ByteSize>);

impl Setting for Limit {
    /// Written as a size is.
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason =
            "is not a size: write a number and a unit, such as \"1KiB\", or \"0B\" for no limit";
        let size = size(value).ok_or(reason)?;
        Ok(Self((size > ByteSize(0)).then_some(size)))
    }
}

/// The size that `value` tells, if it is one.
fn size(value: Value<'_>) -> Option<ByteSize> {
    match value {
        Value::Integer(bytes) => u64::try_from(bytes).ok().map(ByteSize::b),
        // The crate takes a number alone for bytes, and a number that is too large for u64::MAX.
        Value::Text(text) if text.ends_with(|c: char| c.is_ascii_alphabetic()) => {
            text.parse().ok().filter(|size| *size != ByteSize(u64::MAX))
        }
        _ => None,
    }
}

impl Setting for PathBuf {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let text = value.text("is not a path")?;
        if text.contains('\0') {
            return Err("is not a path: it holds a NUL".into());
        }
        Ok(text.into())
    }
}

impl Setting for SocketAddr {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason =
            "is not an address: write IP:PORT, such as \"127.0.0.1:5000\" or \"[::]:5000\"";
        Ok(value.text(reason)?.parse().map_err(|_| reason)?)
    }
}

impl Setting for UpstreamName {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let text = value.text(UpstreamNameError::Grammar.reason())?;
        Ok(text.parse().map_err(UpstreamNameError::reason)?)
    }
}

/// `host` or `host:port`, of whatever machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostAndPort(pub(super) String);

impl Setting for HostAndPort {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = UpstreamNameError::Grammar.reason();
        let text = value.text(reason)?;
        if is_host_and_port(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(reason.into())
        }
    }
}

impl Setting for Level {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not a level: write error, warn, info, debug or trace";
        match value.text(reason)? {
            "error" => Ok(Level::ERROR),
            "warn" => Ok(Level::WARN),
            "info" => Ok(Level::INFO),
            "debug" => Ok(Level::DEBUG),
            "trace" => Ok(Level::TRACE),
            _ => Err(reason.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    #[track_caller]
    fn reads<T: Setting + PartialEq + Debug>(value: Value<'_>, meaning: T) {
        assert_eq!(T::read(value), Ok(meaning), "{value:?}");
    }

    #[track_caller]
    fn refuses<T: Setting + PartialEq + Debug>(value: Value<'_>, reason: &str) {
        match T::read(value) {
            Ok(read) => panic!("{value:?} was read as {read:?}"),
            Err(refusal) => assert!(refusal.reason.contains(reason), "{}", refusal.reason),
        }
    }

    #[test]
    fn durations_have_units() {
        use Value::{Flag, Integer, Other, Text};
        reads(Text("60s"), Duration::from_mins(1));
        reads(Text("7d"), Duration::from_hours(7 * 24));
        reads(Text("1h 30m"), Duration::from_mins(90));
        reads(Text("250ms"), Duration::from_millis(250));
        reads(Text("0s"), Duration::ZERO);
        for value in [
            Text(""),
            Text("60"),
            Text("60x"),
            Text("-1s"),
            Text("99999999999999999999s"),
            Integer(60),
            Flag(true),
            Other,
        ] {
            refuses::<Duration>(value, "is not a duration");
        }
        refuses::<Duration>(Text("1001y"), "longer than 1000 years");
        reads(Text("1s"), TimeOut(Duration::from_secs(1)));
        refuses::<TimeOut>(Text("0s"), "longer than 0s");
    }

    #[test]
    fn sizes_have_units_or_are_bytes() {
        use Value::{Integer, Other, Text};
        reads(Text("50GiB"), ByteSize::gib(50));
        reads(Text("50 GB"), ByteSize::gb(50));
        reads(Text("1.5MiB"), ByteSize::kib(1536));
        reads(Text("1B"), ByteSize(1));
        reads(Integer(1_000_000), ByteSize::mb(1));
        for value in [
            Text(""),
            Text("50"),
            Text("50 "),
            Text("GiB"),
            Text("-1GiB"),
            Text("1e3GiB"),
            Text("50 parsecs"),
            Text("99999999EiB"),
            Integer(-1),
            Other,
        ] {
            refuses::<ByteSize>(value, "is not a size: write");
        }
        for value in [Text("0GiB"), Integer(0)] {
            refuses::<ByteSize>(value, "more than 0");
        }
    }

    #[test]
    fn a_limit_of_nothing_is_none() {
        use Value::{Float, Integer, Text};
        reads(Text("1KiB"), Limit(Some(ByteSize::kib(1))));
        for none in [Text("0B"), Text("0GiB"), Integer(0)] {
            reads(none, Limit(None));
        }
        for value in [Text(""), Text("0"), Text("1"), Integer(-1), Float(0.0)] {
            refuses::<Limit>(value, "for no limit");
        }
    }

    #[test]
    fn addresses_are_numbers() {
        reads::<SocketAddr>(Value::Text("[::1]:0"), ([0, 0, 0, 0, 0, 0, 0, 1], 0).into());
        for text in [
            "localhost:5000",
            "127.0.0.1",
            ":5000",
            "127.0.0.1:70000",
            "",
        ] {
            refuses::<SocketAddr>(Value::Text(text), "is not an address");
        }
    }

    #[test]
    fn counts_begin_at_one() {
        reads(Value::Integer(4096), NonZeroUsize::MIN.saturating_add(4095));
        for value in [Value::Integer(0), Value::Integer(-1)] {
            refuses::<NonZeroUsize>(value, "at least 1");
        }
        refuses::<NonZeroUsize>(Value::Text("7"), "whole number");
    }

    #[test]
    fn numbers_may_be_none_and_patterns_are_globs() {
        reads(Value::Integer(0), 0_u32);
        for value in [
            Value::Integer(-1),
            Value::Integer(1 << 32),
            Value::Text("1"),
        ] {
            refuses::<u32>(value, "is not a whole number");
        }
        let pattern = Pattern::read(Value::Text("v*")).map(|pattern| pattern.to_string());
        assert_eq!(pattern.as_deref(), Ok("v*"));
        for value in [Value::Text(""), Value::Text("[a"), Value::Integer(1)] {
            refuses::<Pattern>(value, "is not a pattern");
        }
    }

    #[test]
    fn words_are_exact() {
        reads(Value::Text("debug"), Level::DEBUG);
        refuses::<Level>(Value::Text("INFO"), "is not a level");
        reads(Value::Flag(true), true);
        refuses::<bool>(Value::Text("true"), "is not true or false");
        reads(
            Value::Text("auth.test:444"),
            HostAndPort("auth.test:444".to_owned()),
        );
        refuses::<HostAndPort>(Value::Text("https://auth.test"), "is not a host name");
        refuses::<PathBuf>(Value::Text("a\0b"), "NUL");
        refuses::<PathBuf>(Value::Text(""), "is not a path");
    }
}
