//! `users_file`: the mirror's own users, in a file as htpasswd writes it.

use std::path::PathBuf;

/// The largest file that is read, in bytes.
const LONGEST: u64 = 1024 * 1024;
/// The highest cost of a hash: with each one more, to verify a password takes twice as long. At 14 it takes a second.
const DEAREST: u32 = 14;

/// A file of users, which may be replaced while the mirror serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsersFile(pub PathBuf);

impl UsersFile {
    /// The names with the hashes of their passwords, as they are now.
    ///
    /// # Errors
    /// In words, with the path, when the file cannot be used. Nothing of a line is quoted.
    pub fn read(&self) -> Result<Vec<(String, String)>, String> {
        let read = self.content();
        read.map_err(|reason| format!("{} {reason}", self.0.display()))
    }

    /// The same; an error continues a sentence that begins with the path.
    pub(super) fn content(&self) -> Result<Vec<(String, String)>, String> {
        users(&super::file::read(&self.0, LONGEST)?)
    }
}

/// Reads lines of `name:hash`. Empty lines and comments count for nothing.
///
/// # Errors
/// In words that quote nothing of a line.
#[doc(hidden)]
pub fn users(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut users: Vec<(String, String)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let told = |what: &str| format!("line {number}: {what}");
        let (name, hash) = (line.split_once(':')).ok_or_else(|| told("is not NAME:HASH"))?;
        if name.is_empty() {
            return Err(told("has no name"));
        }
        if users.iter().any(|(before, _)| before == name) {
            return Err(told("has a name that is there already"));
        }
        if !is_bcrypt(hash) {
            let what =
                format!("has no bcrypt hash of cost 4 to {DEAREST}: make it with `htpasswd -B`");
            return Err(told(&what));
        }
        users.push((name.to_owned(), hash.to_owned()));
    }
    if users.is_empty() {
        return Err("names no user".to_owned());
    }
    Ok(users)
}

/// Whether this is `$2y$COST$` and 53 characters of salt and hash.
fn is_bcrypt(hash: &str) -> bool {
    let mut parts = hash.split('$');
    let version = parts.next() == Some("") && matches!(parts.next(), Some("2a" | "2b" | "2y"));
    let cost = parts.next().and_then(|cost| cost.parse().ok());
    let rest = parts.next().is_some_and(|rest| {
        let is_of_it = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'/';
        rest.len() == 53 && rest.bytes().all(is_of_it)
    });
    version
        && cost.is_some_and(|cost| (4..=DEAREST).contains(&cost))
        && rest
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$05$abcdefghijklmnopqrstuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu";

    #[test]
    fn users_are_names_with_bcrypt_hashes() {
        let text = format!("# people\n\nbob:{HASH}\r\nrobot$ci:{HASH}\n");
        let names = users(&text).map(|users| users.into_iter().map(|(name, _)| name).collect());
        assert_eq!(names, Ok(vec!["bob".to_owned(), "robot$ci".to_owned()]));
    }

    #[test]
    fn what_is_none_is_told_by_its_line_and_never_quoted() {
        for (text, reason) in [
            (String::new(), "names no user"),
            ("hunter2".to_owned(), "line 1: is not NAME:HASH"),
            (format!(":{HASH}"), "line 1: has no name"),
            (
                format!("bob:{HASH}\nbob:{HASH}"),
                "line 2: has a name that is there already",
            ),
            (
                "bob:hunter2".to_owned(),
                "line 1: has no bcrypt hash of cost 4 to 14: make it with `htpasswd -B`",
            ),
            (
                format!("bob:{}", HASH.replace("$05", "$31")),
                "line 1: has no bcrypt hash of cost 4 to 14: make it with `htpasswd -B`",
            ),
            (
                "bob:$apr1$abcdefgh$0123456789abcdefghijkl".to_owned(),
                "line 1: has no bcrypt hash of cost 4 to 14: make it with `htpasswd -B`",
            ),
        ] {
            assert_eq!(users(&text), Err(reason.to_owned()), "{text}");
        }
    }
}
