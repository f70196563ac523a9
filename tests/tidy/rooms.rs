//! Which room may name which, and which crates are kept to which rooms.
//!
//! ```text
//! oci <- {store, upstream} <- mirror <- {v1, server, admin} <- app <- cli <- main
//! oci <- config <- {app, cli}
//! ```

use crate::source::{NamedPath, Source, named_paths};

/// A room and the rooms it may name, beside itself.
const ARROWS: &[(&str, &[&str])] = &[
    ("oci", &[]),
    ("store", &["oci"]),
    ("upstream", &["oci"]),
    ("mirror", &["oci", "store", "upstream"]),
    ("v1", &["oci", "store", "upstream", "mirror"]),
    ("server", &["oci", "store", "upstream", "mirror"]),
    ("admin", &["oci", "store", "upstream", "mirror"]),
    ("config", &["oci"]),
    (
        "app",
        &[
            "oci", "store", "upstream", "mirror", "v1", "server", "admin", "config",
        ],
    ),
    (
        "cli",
        &[
            "oci", "store", "upstream", "mirror", "v1", "server", "admin", "config", "app",
        ],
    ),
    ("main", &["app", "cli"]),
];

/// What only some rooms may name: a crate with its relatives (`pingora_core` is `pingora` as well),
/// or a module of one.
struct Kept {
    what: &'static [&'static str],
    rooms: &'static [&'static str],
}

const KEPT: &[Kept] = &[
    Kept {
        what: &["pingora"],
        rooms: &["server", "app"],
    },
    Kept {
        what: &["reqwest"],
        rooms: &["upstream", "cli"],
    },
    Kept {
        what: &["redb"],
        rooms: &["store"],
    },
    Kept {
        what: &["std", "fs"],
        rooms: &["store", "config", "cli"],
    },
    Kept {
        what: &["tokio", "fs"],
        rooms: &["store", "config", "cli"],
    },
];

/// Every path in `source` that points the wrong way.
pub(crate) fn check(source: &Source) -> Vec<String> {
    let tokens = match source.tokens() {
        Ok(tokens) => tokens,
        Err(error) => return vec![error],
    };
    let module = source.module();
    let room = match module.first() {
        Some(room) => room.as_str(),
        None if source.path.ends_with("main.rs") => "main",
        // lib.rs declares the rooms and may show what it likes of them.
        None => return Vec::new(),
    };
    let Some((_, may_name)) = ARROWS.iter().find(|(name, _)| *name == room) else {
        return vec![format!(
            "{}: {room} is not a room; give it its arrows in tests/tidy/rooms.rs",
            source.path
        )];
    };
    let fault = |path: &NamedPath, why: String| {
        format!(
            "{}:{}: {}: {why}",
            source.path,
            path.line,
            path.segments.join("::")
        )
    };

    let mut faults = Vec::new();
    for path in named_paths(&tokens) {
        if let Some(other) = named_room(&path, &module)
            && other != room
            && !may_name.contains(&other)
        {
            faults.push(fault(&path, format!("{room} may not name {other}")));
        }
        if let Some(Kept { what, rooms }) = kept(&path)
            && !rooms.contains(&room)
        {
            let why = format!("{} is kept to {}", what.join("::"), rooms.join(" and "));
            faults.push(fault(&path, why));
        }
    }
    faults
}

/// The room that `path` enters from the root of the crate, if it does so, seen from a file that is
/// the module `module`. It may be a word that is no room, such as the `*` of a glob.
fn named_room<'a>(path: &'a NamedPath, module: &[String]) -> Option<&'a str> {
    let mut segments = path.segments.iter().map(String::as_str).peekable();
    let mut above = module.len() + path.depth;
    match *segments.peek()? {
        "crate" | "roadstead" => {
            segments.next();
            above = 0;
        }
        "self" | "super" => {
            segments.next_if_eq(&"self");
            while segments.next_if_eq(&"super").is_some() {
                above = above.saturating_sub(1);
            }
        }
        _ => return None,
    }
    if above == 0 { segments.next() } else { None }
}

/// The row of [`KEPT`] that `path` falls under.
fn kept(path: &NamedPath) -> Option<&'static Kept> {
    KEPT.iter().find(|kept| match kept.what {
        [name] => {
            let first = &path.segments[0];
            first == name || first.starts_with(&format!("{name}_"))
        }
        what => path.segments.len() >= what.len() && what.iter().eq(&path.segments[..what.len()]),
    })
}
