//! `admin.token_file`: what the operator's requests must bring.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::auth::read_secret;
use super::reading::Reported;
use super::secret::Secret;
use super::section::Section;

const KEY: &str = "token_file";

/// The bit of a file's mode that lets everybody read it.
const READABLE_BY_ALL: u32 = 0o004;

/// Reads the key, and the file that it names.
pub(super) fn read(section: &mut Section<'_>) -> Result<Option<Secret>, Reported> {
    let Some(path) = section.optional::<PathBuf>(KEY)? else {
        return Ok(None);
    };
    let token = read_token(&section.reading().resolve(&path));
    let token = token.map_err(|why| section.refuse(KEY, &why));
    token.map(Some)
}

/// The token in the file at `path`. An error continues a sentence that begins with the path.
fn read_token(path: &Path) -> Result<Secret, String> {
    let metadata = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if metadata.permissions().mode() & READABLE_BY_ALL != 0 {
        return Err(
            "can be read by everybody on this machine: take that away (chmod o-r)".to_owned(),
        );
    }
    let token = read_secret(path)?;
    // What a header cannot carry could never be brought (RFC 9110 section 5.5).
    if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("holds something else than visible ASCII characters".to_owned());
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::Config;

    const MINIMAL: &str = "store.capacity = \"1GiB\"\n[upstreams.x]\nurl = \"http://x\"\n";

    /// The token that a config takes from a file of this text and mode, or the faults it finds.
    fn token_of(text: &str, mode: u32) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let text = format!("admin.token_file = \"token\"\n{MINIMAL}");
        let config = Config::parse(&text, folder.path()).map_err(|errors| errors.to_string())?;
        let token = config.admin().token.as_ref().unwrap();
        Ok(token.expose().to_owned())
    }

    #[test]
    fn the_token_is_what_the_file_holds() {
        assert_eq!(token_of("s3cret\n", 0o600).unwrap(), "s3cret");
        assert_eq!(token_of("s3cret", 0o640).unwrap(), "s3cret");
        assert_eq!(
            Config::parse(MINIMAL, Path::new("")).unwrap().admin().token,
            None
        );
    }

    #[test]
    fn a_file_that_is_no_token_is_a_fault_of_its_key() {
        for (text, mode, why) in [
            ("s3cret", 0o644, "can be read by everybody"),
            ("\n", 0o600, "is empty"),
            ("two words", 0o600, "visible ASCII"),
        ] {
            let told = token_of(text, mode).unwrap_err();
            assert!(told.contains("admin.token_file"), "{told}");
            assert!(told.contains(why), "{told}");
        }
    }
}
