//! Holds `config/roadstead.toml`, which is the manual, to what the code does.
//!
//! Lines of it come in three kinds: TOML; `# key = value`, a key that is left out, with its default;
//! and `#   text`, further in, an example.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use toml::{Table, Value};

use super::{Config, ConfigErrors};

const REFERENCE: &str = include_str!("../../config/roadstead.toml");

/// The TOML in a line that shows the default of a key that is left out.
fn as_default(line: &str) -> Option<&str> {
    let toml = line.strip_prefix("# ")?;
    let (key, _) = toml.split_once(" = ")?;
    key.bytes()
        .all(|b| b.is_ascii_lowercase() || b == b'_')
        .then_some(toml)
}

/// The TOML in a line of an example.
fn as_example(line: &str) -> Option<&str> {
    let toml = line.strip_prefix("#   ")?;
    (toml.starts_with('[') || toml.contains(" = ")).then_some(toml)
}

/// The reference with some of its lines turned into the TOML they show.
fn reference<'a>(mut uncommented: impl FnMut(usize, &'a str) -> Option<&'a str>) -> String {
    let lines = REFERENCE.lines().enumerate();
    let lines = lines.map(|(number, line)| uncommented(number, line).unwrap_or(line));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Reads `text` in a folder that has the files of the examples.
fn parse(text: &str) -> Result<Config, ConfigErrors> {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["mirror.example".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let user = format!("bob:$2y$05${}", "u".repeat(53));
    for (name, text) in [
        ("ghcr.password", "hunter2\n"),
        ("users", &user),
        ("mirror.pem", &certificate),
        ("mirror.key", &key),
        ("clients.pem", &certificate),
        ("ca.pem", &certificate),
        ("client.pem", &certificate),
        ("client.key", &key),
        ("azure.token", "hunter2\n"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let token = folder.path().join("admin.token");
    std::fs::write(&token, "s3cret\n").unwrap();
    std::fs::set_permissions(token, Permissions::from_mode(0o600)).unwrap();
    Config::parse_with(text, folder.path(), &|name| {
        (name == "QUAY_PASSWORD").then(|| "hunter2".to_owned())
    })
}

#[test]
fn the_reference_is_a_config() {
    Config::parse(REFERENCE, Path::new("")).unwrap();
}

#[test]
fn each_default_it_shows_is_the_default() {
    let base = Path::new("");
    let left_out = Config::parse(REFERENCE, base).unwrap();
    let defaults: Vec<_> = (REFERENCE.lines().enumerate())
        .filter_map(|(number, line)| as_default(line).map(|toml| (number, toml)))
        .collect();
    assert!(defaults.len() > 10, "the defaults are found: {defaults:?}");

    for (number, toml) in defaults {
        let text = reference(|at, line| as_default(line).filter(|_| at == number));
        let said = Config::parse(&text, base).unwrap();
        assert_eq!(said, left_out, "line {}: {toml}", number + 1);
    }
}

/// The examples without the one that does not go with clients served as themselves.
fn together(text: &str) -> String {
    text.replace("users_file = ", "# users_file = ")
}

#[test]
fn its_examples_are_right() {
    let config = parse(&together(&reference(|_, line| as_example(line)))).unwrap();
    let names: Vec<_> = config.upstreams().iter().map(|u| u.name.as_str()).collect();
    let ecr = "111122223333.dkr.ecr.eu-west-1.amazonaws.com";
    let expected = [
        ecr,
        "docker.io",
        "ghcr.io",
        "quay.io",
        "registry.example",
        "team.azurecr.io",
    ];
    assert_eq!(names, expected);
}

#[test]
fn it_shows_every_key() {
    let full = reference(|_, line| as_default(line).or_else(|| as_example(line)));
    parse(&together(&full)).unwrap();
    let full: Table = full.parse().unwrap();

    let mut shown: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut known = shown.clone();
    for (path, keys) in tables(&full, &[]) {
        let mut misspelt = full.clone();
        let table = path.iter().fold(&mut misspelt, |table, key| {
            first_table(&mut table[key]).unwrap()
        });
        // All upstreams have the same keys: some are shown with one, some with another.
        let mut kind = path.clone();
        if let Some(name) = kind.get_mut(1) {
            "NAME".clone_into(name);
        }
        let kind = kind.join(".");
        shown.entry(kind.clone()).or_default().extend(keys);

        table.insert("zzzzzz".to_owned(), Value::Integer(0));
        let errors = Config::parse(&misspelt.to_string(), Path::new("")).unwrap_err();
        let keys = errors
            .iter()
            .find_map(|e| e.message.strip_prefix("unknown key; known here: "));
        let keys = keys
            .into_iter()
            .flat_map(|keys| keys.split(", "))
            .map(str::to_owned);
        known.entry(kind).or_default().extend(keys);
    }
    // Under `upstreams` every key is a name, so none is unknown.
    shown.remove("upstreams");
    known.remove("upstreams");
    assert_eq!(shown, known);
}

/// The table that `value` is, or the first of those in the list that it is.
fn first_table(value: &mut Value) -> Option<&mut Table> {
    match value {
        Value::Array(items) => items.first_mut()?.as_table_mut(),
        value => value.as_table_mut(),
    }
}

/// The path and the keys of `table` and of every table inside it; tables in one list have one path.
fn tables(table: &Table, path: &[String]) -> Vec<(Vec<String>, BTreeSet<String>)> {
    let mut found = vec![(path.to_vec(), table.keys().cloned().collect())];
    for (key, value) in table {
        let items = value
            .as_array()
            .map_or(std::slice::from_ref(value), Vec::as_slice);
        for inner in items.iter().filter_map(Value::as_table) {
            found.extend(tables(inner, &[path, std::slice::from_ref(key)].concat()));
        }
    }
    found
}

#[test]
fn the_files_for_clients_are_well_formed_and_name_the_default_address() {
    let docker = include_str!("../../config/docker-daemon.json");
    let containerd = include_str!("../../config/containerd/hosts.toml");
    let podman = include_str!("../../config/registries.conf");

    serde_json::from_str::<serde_json::Value>(docker).unwrap();
    containerd.parse::<Table>().unwrap();
    podman.parse::<Table>().unwrap();

    let config = Config::parse(REFERENCE, Path::new("")).unwrap();
    let address = config.server().listen[0].to_string();
    for text in [docker, containerd, podman] {
        assert!(text.contains(&address), "{text}");
    }
}
