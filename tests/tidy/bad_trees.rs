//! The rules, tried: each small tree breaks one, and the fault that must be found says which.

use crate::check;
use crate::source::Source;

#[track_caller]
fn faults(path: &str, text: &str) -> Vec<String> {
    check(&[Source::new(path, text)])
}

/// Asserts that there is one fault, and that it says `expected`.
#[track_caller]
fn refuses(path: &str, text: &str, expected: &str) {
    let faults = faults(path, text);
    assert_eq!(faults.len(), 1, "{path}: {text}: {faults:?}");
    assert!(faults[0].contains(expected), "{path}: {text}: {faults:?}");
}

#[track_caller]
fn allows(path: &str, text: &str) {
    assert_eq!(faults(path, text), [] as [&str; 0], "{path}: {text}");
}

/// The rooms from the innermost to the outermost; each pair the wrong way round must be found.
const INWARDS_OUT: [&[&str]; 6] = [
    &["oci"],
    &["store", "upstream", "config"],
    &["mirror"],
    &["v1", "server", "admin"],
    &["app"],
    &["cli"],
];

#[test]
fn every_arrow_turned_round_is_found() {
    for (index, inner) in INWARDS_OUT.iter().enumerate() {
        for room in *inner {
            for other in INWARDS_OUT[index + 1..]
                .iter()
                .flat_map(|rooms| rooms.iter())
            {
                let text = format!("use crate::{other}::Thing;");
                let expected = format!("{room} may not name {other}");
                refuses(&format!("src/{room}/mod.rs"), &text, &expected);
                refuses(&format!("src/{room}.rs"), &text, &expected);
            }
            for other in inner.iter().filter(|other| *other != room) {
                let text = format!("fn f(x: crate::{other}::Thing) {{}}");
                let expected = format!("{room} may not name {other}");
                refuses(&format!("src/{room}/deep/er.rs"), &text, &expected);
            }
        }
    }
}

#[test]
fn the_arrows_the_right_way_are_allowed() {
    for (room, others) in [
        ("oci", vec!["oci"]),
        ("store", vec!["oci", "store"]),
        ("upstream", vec!["oci"]),
        ("config", vec!["oci"]),
        ("mirror", vec!["oci", "store", "upstream"]),
        ("server", vec!["oci", "store", "upstream", "mirror"]),
        ("app", vec!["oci", "mirror", "server", "admin", "config"]),
        ("cli", vec!["config", "app", "store"]),
    ] {
        for other in others {
            allows(
                &format!("src/{room}/x.rs"),
                &format!("use crate::{other}::Thing;"),
            );
        }
    }
    allows(
        "src/lib.rs",
        "pub mod oci; pub use crate::oci::Digest; pub use config::Config;",
    );
    allows(
        "src/main.rs",
        "fn main() { roadstead::cli::run(roadstead::app::build()) }",
    );
}

#[test]
fn an_arrow_is_found_in_every_form() {
    let store = "src/store/blob.rs";
    for text in [
        "use crate::mirror;",
        "use crate::mirror::Fill as F;",
        "use crate::{oci::Digest, mirror::{Fill, Follower}};",
        "use super::super::mirror::Fill;",
        "use self::super::super::mirror::Fill;",
        "mod inside { use super::super::super::mirror::Fill; }",
        "fn f() { let x: Vec<crate::mirror::Fill> = vec![]; }",
        "fn f() { println!(\"{}\", crate::mirror::NAME); }",
        "macro_rules! m { () => { $crate::mirror::f() } }",
        "#[cfg(test)] mod tests { use crate::mirror::Fill; }",
        "pub(in crate::mirror) fn f() {}",
        "use roadstead::mirror::Fill;",
        "/* a comment */ use crate /* here */ :: mirror :: Fill;",
        "const C: char = '\"'; use crate::mirror::Fill; const D: char = '\"';",
        "const S: &str = \"\\\\\"; use crate::mirror::Fill; // \"",
    ] {
        let faults = faults(store, text);
        assert!(!faults.is_empty(), "{text}");
        for fault in faults {
            assert!(
                fault.contains("store may not name mirror"),
                "{text}: {fault}"
            );
        }
    }
}

#[test]
fn what_only_looks_like_an_arrow_is_allowed() {
    let store = "src/store/blob.rs";
    for text in [
        "//! Used by [`crate::mirror`].\n/// See crate::mirror.\nfn f() {}",
        "fn f() { let _ = \"use crate::mirror::Fill;\"; }",
        "fn f() { let _ = r##\"use crate::mirror::Fill; \"# \"##; }",
        "/* use crate::mirror::Fill; /* nested */ use pingora::A; */",
        "use super::mirror::Copy; mod mirror {}",
        "mod inside { use super::super::mirror::Copy; }",
        "pub(crate) fn f() {} pub(super) fn g() {} pub(in super::super) fn h() {}",
        "fn f(mirror: u8) -> u8 { mirror }",
        "use other::mirror::Fill;",
    ] {
        allows(store, text);
    }
}

#[test]
fn the_root_is_not_a_way_round() {
    refuses("src/store/mod.rs", "use crate::*;", "store may not name *");
    refuses("src/store/mod.rs", "use super::*;", "store may not name *");
    refuses(
        "src/store/mod.rs",
        "use crate::Digest;",
        "store may not name Digest",
    );
    refuses(
        "src/main.rs",
        "use roadstead::store::Store;",
        "main may not name store",
    );
    refuses("src/extra/mod.rs", "", "extra is not a room");
}

#[test]
fn crates_stay_in_their_rooms() {
    for (path, text, expected) in [
        (
            "src/mirror/a.rs",
            "use pingora::server::Server;",
            "pingora is kept to server and app",
        ),
        (
            "src/cli/a.rs",
            "use pingora_core::Error;",
            "pingora is kept to server and app",
        ),
        (
            "src/mirror/a.rs",
            "fn f(c: reqwest::Client) {}",
            "reqwest is kept to upstream and cli",
        ),
        (
            "src/server/a.rs",
            "extern crate reqwest;",
            "reqwest is kept to upstream and cli",
        ),
        (
            "src/mirror/a.rs",
            "use redb::Database;",
            "redb is kept to store",
        ),
        (
            "src/upstream/a.rs",
            "use std::fs;",
            "std::fs is kept to store and config and cli",
        ),
        (
            "src/server/a.rs",
            "use std::{io, fs::File};",
            "std::fs is kept to",
        ),
        (
            "src/admin/a.rs",
            "fn f() { ::std::fs::read(p); }",
            "std::fs is kept to",
        ),
        (
            "src/oci/a.rs",
            "#[cfg(test)] mod tests { use std::fs; }",
            "std::fs is kept to",
        ),
        (
            "src/mirror/a.rs",
            "async fn f() { tokio::fs::read(p).await; }",
            "tokio::fs is kept to",
        ),
    ] {
        refuses(path, text, expected);
    }
    allows("src/server/a.rs", "use pingora::server::Server;");
    allows("src/app.rs", "use pingora::server::Server;");
    allows("src/upstream/a.rs", "use reqwest::Client;");
    allows(
        "src/store/a.rs",
        "use std::fs::File; use tokio::fs; use redb::Database;",
    );
    allows(
        "src/mirror/a.rs",
        "use std::io; use tokio::sync; use std::fsx::F;",
    );
}

#[test]
fn globals_are_found() {
    for text in [
        "static mut COUNT: u8 = 0;",
        "static CLIENT: OnceLock<Client> = OnceLock::new();",
        "static CLIENT: std::sync::LazyLock<Client> = f();",
        "static CLIENTS: [Mutex<u8>; 2] = f();",
        "fn f() { static COUNT: AtomicU64 = AtomicU64::new(0); }",
        "lazy_static! { }",
        "thread_local! { }",
    ] {
        refuses("src/mirror/a.rs", text, "a global");
    }
    allows(
        "src/mirror/a.rs",
        "static NAMES: [&str; 1] = [\"a\"]; fn f(x: &'static Mutex<u8>) {}",
    );
    allows("src/mirror/a.rs", "struct S { cell: OnceLock<u8> }");
}

#[test]
fn empty_names_are_found() {
    for text in [
        "mod util;",
        "struct FillManager;",
        "enum Common {}",
        "trait StoreHelper {}",
        "type HttpUtils = u8;",
        "mod a { mod b { mod test_helpers {} } }",
    ] {
        refuses("src/mirror/a.rs", text, "the word");
    }
    refuses("src/mirror/fill_manager.rs", "", "the word manager");
    refuses("src/mirror/util/a.rs", "", "the word util");
    allows(
        "src/mirror/a.rs",
        "struct Utilisation; fn is_common(common: u8) {} mod uncommon;",
    );
}

#[test]
fn long_files_are_found() {
    allows("src/mirror/a.rs", &"\n".repeat(400));
    refuses("src/mirror/a.rs", &"\n".repeat(401), "401 lines");
}

#[test]
fn what_is_not_rust_is_not_passed_over() {
    let faults = faults("src/mirror/a.rs", "fn f() { ");
    assert!(!faults.is_empty());
}

#[test]
fn what_is_unsafe_is_found_outside_of_its_one_file() {
    for text in [
        "fn f() { unsafe { g() } }",
        "unsafe fn f() {}",
        "unsafe impl Send for S {}",
    ] {
        refuses("src/server/door/wire.rs", text, "unsafe");
        allows("src/server/door/socket.rs", text);
    }
    allows(
        "src/server/a.rs",
        "/// Not unsafe.\nconst A: &str = \"unsafe\";",
    );
}
