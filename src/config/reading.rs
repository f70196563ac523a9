//! One reading of one config text: what it may look at beside the text, and the faults so far.
//!
//! Faults are gathered, not returned: whoever meets one hands it to [`Reading::error`] and gets
//! back a [`Reported`], which stands for "no value, and the reason is already on the list".

use std::cell::RefCell;
use std::path::Path;

use super::error::{ConfigError, Position};

/// The text being read, its surroundings, and the list of faults.
pub(super) struct Reading<'a> {
    text: &'a str,
    base: &'a Path,
    variable: &'a dyn Fn(&str) -> Option<String>,
    errors: RefCell<Vec<ConfigError>>,
}

/// Proof that a fault was put on the list of its [`Reading`]; only [`Reading::error`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reported(());

/// A key of the file: its path from the root, and where it is if it is there.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    path: String,
    offset: Option<usize>,
}

/// A value together with the place it came from, for checks that compare several values.
#[derive(Debug, Clone)]
pub(super) struct Placed<T> {
    pub(super) place: Place,
    pub(super) value: T,
}

impl<'a> Reading<'a> {
    /// `base` is the folder that relative paths begin at; `variable` looks up the environment.
    pub(super) fn new(
        text: &'a str,
        base: &'a Path,
        variable: &'a dyn Fn(&str) -> Option<String>,
    ) -> Self {
        Self {
            text,
            base,
            variable,
            errors: RefCell::default(),
        }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// `path` seen from the folder of the config file.
    pub(super) fn resolve(&self, path: &Path) -> std::path::PathBuf {
        self.base.join(path)
    }

    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name)
    }

    /// Puts a fault on the list.
    pub(super) fn error(&self, place: &Place, message: impl Into<String>) -> Reported {
        self.errors.borrow_mut().push(ConfigError {
            position: place.offset.map(|offset| Position::of(offset, self.text)),
            path: place.path.clone(),
            message: message.into(),
        });
        Reported(())
    }

    /// The list, when everything has been read.
    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        self.errors.into_inner()
    }
}

impl Place {
    /// The text itself, at byte `offset`.
    pub(super) fn in_text(offset: Option<usize>) -> Self {
        Self {
            path: String::new(),
            offset,
        }
    }

    /// The key `key` of the table that is here.
    pub(super) fn key(&self, key: &str, offset: Option<usize>) -> Self {
        let is_bare = !key.is_empty()
            && key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        let key = if is_bare {
            key.to_owned()
        } else {
            format!("{key:?}")
        };
        let path = if self.path.is_empty() {
            key
        } else {
            format!("{}.{key}", self.path)
        };
        Self { path, offset }
    }

    /// The key `key` that the table here does not have; it has the position of the table.
    pub(super) fn missing_key(&self, key: &str) -> Self {
        self.key(key, self.offset)
    }

    /// Number `index` of the list that is here.
    pub(super) fn item(&self, index: usize, offset: usize) -> Self {
        Self {
            path: format!("{}[{index}]", self.path),
            offset: Some(offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_quotes_the_keys_that_toml_quotes() {
        let root = Place::default();
        let ttl = root
            .key("upstreams", None)
            .key("docker.io", None)
            .key("tags", None)
            .key("ttl", None);
        assert_eq!(ttl.path, r#"upstreams."docker.io".tags.ttl"#);
        assert_eq!(root.key("listen", None).item(1, 0).path, "listen[1]");
        assert_eq!(root.key("", None).path, r#""""#);
    }
}
