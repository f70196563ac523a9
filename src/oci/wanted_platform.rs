//! Platforms as people write them.

use std::fmt;
use std::str::FromStr;

use super::Platform;

/// `os/architecture` or `os/architecture/variant`, as people write platforms. Without a variant any is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WantedPlatform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// The text is not `os/architecture[/variant]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a platform: write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/arm64"
)]
pub struct PlatformError(String);

impl FromStr for WantedPlatform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let legal = |part: &str| {
            let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
            !part.is_empty() && part.bytes().all(legal)
        };
        let mut parts = text.split('/');
        let mut next = || {
            parts
                .next()
                .filter(|part| legal(part))
                .map(str::to_lowercase)
        };
        let read = next().zip(next());
        let (Some((os, architecture)), true) = (read, text.split('/').count() <= 3) else {
            return Err(PlatformError(text.to_owned()));
        };
        let variant = next();
        if variant.is_none() && text.split('/').count() == 3 {
            return Err(PlatformError(text.to_owned()));
        }
        // The names that other tools have for the same.
        let architecture = match architecture.as_str() {
            "x86_64" | "x86-64" => "amd64".to_owned(),
            "aarch64" => "arm64".to_owned(),
            _ => architecture,
        };
        Ok(Self {
            os,
            architecture,
            variant,
        })
    }
}

impl fmt::Display for WantedPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl WantedPlatform {
    /// Whether `platform` is meant.
    pub fn is(&self, platform: &Platform) -> bool {
        let variant = match (&*platform.architecture, platform.variant.as_deref()) {
            // Indexes name it or not; it is the only one.
            ("arm64", None) => Some("v8"),
            (_, variant) => variant,
        };
        platform.os == self.os
            && platform.architecture == self.architecture
            && (self.variant.is_none() || self.variant.as_deref() == variant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "linux/arm/",
            "a/b/c/d",
            "li nux/amd64",
        ] {
            assert!(text.parse::<WantedPlatform>().is_err(), "{text}");
        }
    }
}
