//! `[upstreams.NAME.auth]`: whose credentials an upstream is asked with.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    Own(Account),
    /// With each client's own: it is served as itself. Where it is sent for a token.
    Client(TokenRealm),
}

/// An account of the mirror's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// By name and password.
    Password {
        /// Never empty, never holds a `:` (RFC 7617 section 2).
        username: String,
        /// Never empty.
        password: Secret,
    },
    /// By a token that the upstream's token realm takes in place of them.
    IdentityToken(Secret),
    /// As a program tells (docker's credential helper protocol).
    Program {
        /// A path, or the end of a name that begins with `docker-credential-`.
        program: PathBuf,
        /// How long its answer is used.
        ttl: Duration,
    },
}

/// `realm`: where clients that are served as themselves get their tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRealm {
    /// At the upstream's own token server, which they must be able to reach.
    Upstream,
    /// At the mirror, which asks that server for them.
    Mirror,
}

/// The value of `mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Anonymous,
    Own,
    Client,
}

impl Setting for Mode {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not a mode: write anonymous, own or client";
        match value.text(reason)? {
            "anonymous" => Ok(Self::Anonymous),
            "own" => Ok(Self::Own),
            "client" => Ok(Self::Client),
            _ => Err(reason.into()),
        }
    }
}

impl Setting for TokenRealm {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not a realm: write mirror or upstream";
        match value.text(reason)? {
            "mirror" => Ok(Self::Mirror),
            "upstream" => Ok(Self::Upstream),
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

/// The name of an environment variable.
struct Variable(String);

impl Setting for Variable {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not the name of an environment variable";
        let text = value.text(reason)?;
        let proper = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if text.chars().all(proper) {
            Ok(Self(text.to_owned()))
        } else {
            // Whoever mistakes the key for one of the password itself has put that there.
            Err(Refusal::private(reason))
        }
    }
}

/// How long a helper's answer is used: half of the twelve hours that the shortest-lived ones are good for, at most.
struct ProgramTtl(Duration);

impl Setting for ProgramTtl {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let ttl = Duration::read(value)?;
        if (Duration::from_secs(10)..=Duration::from_hours(6)).contains(&ttl) {
            Ok(Self(ttl))
        } else {
            Err("is not from 10s to 6h".into())
        }
    }
}

/// The keys of an account, as far as they were read.
struct Keys {
    username: Option<Username>,
    password_file: Option<PathBuf>,
    password_env: Option<Variable>,
    identity_token_file: Option<PathBuf>,
    helper: Option<PathBuf>,
    helper_ttl: Option<ProgramTtl>,
}

impl Keys {
    /// The names of those that are there.
    fn present(&self) -> impl Iterator<Item = &'static str> {
        [
            ("helper", self.helper.is_some()),
            ("helper_ttl", self.helper_ttl.is_some()),
            ("identity_token_file", self.identity_token_file.is_some()),
            ("password_env", self.password_env.is_some()),
            ("password_file", self.password_file.is_some()),
            ("username", self.username.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, is_there)| is_there.then_some(key))
    }
}

pub(super) fn read(section: &mut Section<'_>) -> Result<Auth, Reported> {
    let mode = section.or("mode", Mode::Anonymous);
    let username = section.optional("username");
    let password_file = section.optional("password_file");
    let password_env = section.optional("password_env");
    let identity_token_file = section.optional("identity_token_file");
    let helper = section.optional("helper");
    let helper_ttl = section.optional("helper_ttl");
    let realm = section.optional::<TokenRealm>("realm");

    // Looked at before `mode`, so that each key's own fault is seen.
    let keys = Ok(()).and_then(|()| {
        Ok(Keys {
            username: username?,
            password_file: password_file?,
            password_env: password_env?,
            identity_token_file: identity_token_file?,
            helper: helper?,
            helper_ttl: helper_ttl?,
        })
    });
    let (mode, realm) = (mode?, realm?);
    if mode != Mode::Client && realm.is_some() {
        return Err(section.error("realm", "is only read when mode is \"client\""));
    }
    let keys = keys?;
    match mode {
        Mode::Own => read_account(section, keys).map(Auth::Own),
        Mode::Anonymous | Mode::Client => {
            // A key without effect is a fault: whoever wrote it thinks that it has one.
            let unused = |key| section.error(key, "is only read when mode is \"own\"");
            if let Some(reported) = keys.present().map(unused).last() {
                return Err(reported);
            }
            Ok(match mode {
                Mode::Client => Auth::Client(realm.unwrap_or(TokenRealm::Mirror)),
                _ => Auth::Anonymous,
            })
        }
    }
}

/// An account is told in one way: by a helper, by a token, or by name and password.
fn read_account(section: &Section<'_>, keys: Keys) -> Result<Account, Reported> {
    let refuse_beside = |way: &'static str, belongs: &[&'static str]| {
        let besides = keys.present().filter(|key| !belongs.contains(key));
        let message = format!("tells the account a second time, beside {way}");
        match besides.map(|key| section.error(key, &*message)).last() {
            Some(reported) => Err(reported),
            None => Ok(()),
        }
    };
    let secret = |key: &'static str, path: &Path| {
        read_secret(&section.reading().resolve(path)).map_err(|why| section.refuse(key, &why))
    };
    if let Some(program) = &keys.helper {
        refuse_beside("helper", &["helper", "helper_ttl"])?;
        let is_path = program.components().count() > 1;
        let program = if is_path {
            section.reading().resolve(program)
        } else {
            program.clone()
        };
        let ttl = keys.helper_ttl.map_or(Duration::from_mins(30), |ttl| ttl.0);
        return Ok(Account::Program { program, ttl });
    }
    if keys.helper_ttl.is_some() {
        return Err(section.error("helper_ttl", "is only read when there is a helper"));
    }
    if let Some(path) = &keys.identity_token_file {
        refuse_beside("identity_token_file", &["identity_token_file"])?;
        return secret("identity_token_file", path).map(Account::IdentityToken);
    }
    let password = match (&keys.password_file, &keys.password_env) {
        (Some(_), Some(_)) => Err(section.error(
            "password_env",
            "tells the password a second time, beside password_file",
        )),
        (Some(path), None) => secret("password_file", path),
        (None, Some(name)) => match section.reading().variable(&name.0) {
            Some(password) if !password.is_empty() => Ok(Secret::new(password)),
            _ => Err(section.refuse("password_env", "is not set, or is empty")),
        },
        (None, None) => Err(section.missing("password_file")),
    };
    let username = keys.username.ok_or_else(|| section.missing("username"));
    Ok(Account::Password {
        username: username?.0,
        password: password?,
    })
}

/// The text of the file at `path` without the newline at its end, which editors add. An error
/// continues a sentence that begins with the path, and does not name it: whoever mistakes the key for
/// one of the password itself has put that there.
pub(super) fn read_secret(path: &Path) -> Result<Secret, String> {
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
            assert_eq!(read_secret(&path).unwrap().expose(), password, "{text:?}");
        }
    }

    #[test]
    fn a_file_that_is_no_password_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let refusal = |path: &Path| read_secret(path).unwrap_err();

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
