//! `[upstreams.NAME.auth]`: whose credentials an upstream is asked with.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::reading::Reported;
use super::secret::Secret;
use super::section::Section;
use super::setting::{Refusal, Setting, Value};

/// `[upstreams.NAME.auth]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// With none.
    Anonymous,
    /// With the mirror's own account, whoever the client is. Everyone who may use the mirror can
    /// then pull what this account can pull.
    Own {
        /// Never empty, never holds a `:` (RFC 7617 section 2).
        username: String,
        /// Never empty.
        password: Secret,
    },
}

/// The value of `mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Anonymous,
    Own,
}

impl Setting for Mode {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not a mode: write anonymous or own";
        match value.text(reason)? {
            "anonymous" => Ok(Self::Anonymous),
            "own" => Ok(Self::Own),
            "client" => {
                Err("is refused: credentials pass-through is not available in this version".into())
            }
            _ => Err(reason.into()),
        }
    }
}

struct Username(String);

impl Setting for Username {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let text = value.text("is not a user name")?;
        if text.contains(|c: char| c == ':' || c.is_control()) {
            return Err("is not a user name: it must hold no ':' and no control characters".into());
        }
        Ok(Self(text.to_owned()))
    }
}

pub(super) fn read(section: &mut Section<'_>) -> Result<Auth, Reported> {
    let mode = section.or("mode", Mode::Anonymous);
    let username = section.optional::<Username>("username");
    let password_file = section.optional::<PathBuf>("password_file");

    match mode? {
        Mode::Anonymous => {
            // A key without effect is a fault: whoever wrote it thinks that it has one.
            let unused = |key| Err(section.error(key, "is only read when mode is \"own\""));
            let username = username?.map_or(Ok(()), |_| unused("username"));
            let password_file = password_file?.map_or(Ok(()), |_| unused("password_file"));
            username.and(password_file).map(|()| Auth::Anonymous)
        }
        Mode::Own => {
            let username =
                username.and_then(|name| name.ok_or_else(|| section.missing("username")));
            let password = password_file
                .and_then(|path| path.ok_or_else(|| section.missing("password_file")))
                .and_then(|path| {
                    read_password(&section.reading().resolve(&path))
                        .map_err(|why| section.refuse("password_file", &why))
                });
            Ok(Auth::Own {
                username: username?.0,
                password: password?,
            })
        }
    }
}

/// The text of the file at `path` without the newline at its end, which editors add. An error
/// continues a sentence that begins with the path, and does not name it: whoever mistakes the key for
/// one of the password itself has put that there.
pub(super) fn read_password(path: &Path) -> Result<Secret, String> {
    const LONGEST: u64 = 64 * 1024;
    let mut text = String::new();
    File::open(path)
        // One byte more than is allowed tells a file that is too long, or has no end, from one that fits.
        .and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > LONGEST {
        return Err(format!("is longer than {LONGEST} bytes"));
    }
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(Secret::new(password))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    #[test]
    fn one_newline_at_the_end_is_not_part_of_a_password() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        for (text, password) in [
            ("s3cret", "s3cret"),
            ("s3cret\n", "s3cret"),
            ("s3cret\r\n", "s3cret"),
            (" s3 cret \n\n", " s3 cret \n"),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(read_password(&path).unwrap().expose(), password, "{text:?}");
        }
    }

    #[test]
    fn a_file_that_is_no_password_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let refusal = |path: &Path| read_password(path).unwrap_err();

        assert!(refusal(&path).starts_with("cannot be read: "));
        assert!(refusal(folder.path()).starts_with("cannot be read: "));
        for empty in ["", "\n", "\r\n"] {
            fs::write(&path, empty).unwrap();
            assert_eq!(refusal(&path), "is empty");
        }
        fs::write(&path, "x".repeat(64 * 1024 + 1)).unwrap();
        assert_eq!(refusal(&path), "is longer than 65536 bytes");
        fs::write(&path, b"\xff\xfe").unwrap();
        assert!(refusal(&path).starts_with("cannot be read: "));
    }
}
