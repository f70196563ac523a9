//! Whole texts in, a config or the whole report out.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

mod downloads;
mod edge;
mod secrets;
mod tags;
mod warm;

/// The least a config must say.
const MINIMAL: &str = r#"
store.capacity = "1GiB"
upstreams."docker.io".url = "https://registry-1.docker.io"
"#;

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse_with(text, Path::new("/etc/roadstead"), &|name| match name {
        "REGISTRY" => Some("registry.test".to_owned()),
        "PASSWORD" => Some("hunter2".to_owned()),
        _ => None,
    })
}

/// The report on `text`, a line a fault, without the name of the source.
#[track_caller]
fn faults(text: &str) -> Vec<String> {
    let errors = parse(text).expect_err("faults");
    let report = errors.to_string();
    report
        .lines()
        .map(|line| line.strip_prefix("config:").unwrap().to_owned())
        .collect()
}

/// The faults of [`MINIMAL`] followed by `text`.
#[track_caller]
fn faults_beside_minimal(text: &str) -> Vec<String> {
    faults(&format!("{MINIMAL}{text}"))
}

#[test]
fn a_minimal_config_gets_the_defaults() {
    let config = parse(MINIMAL).unwrap();
    assert!(!config.offline());
    assert_eq!(config.server().listen, ["127.0.0.1:5000".parse().unwrap()]);
    assert_eq!(config.admin().listen, "127.0.0.1:5001".parse().unwrap());
    assert_eq!(config.store().path, Path::new("/etc/roadstead/data"));
    assert_eq!(config.store().capacity.as_u64(), 1 << 30);
    assert_eq!(config.log().format, LogFormat::Text);
    let [hub] = config.upstreams() else {
        panic!("one upstream: {config:?}");
    };
    assert_eq!(hub.name.as_str(), "docker.io");
    assert_eq!(hub.auth, Auth::Anonymous);
    assert!(!hub.is_default && !hub.private_redirects && hub.realms.is_empty());
    assert_eq!(hub.tags.otherwise.ttl, Duration::from_mins(1));
    assert!(hub.hosts.is_empty() && hub.tags.rules.is_empty());
    assert_eq!(hub.rate_reserve, 10);
    assert_eq!(config.server().rate_limited, RateLimited::Unavailable);
    assert_eq!(
        hub.downloads,
        Downloads {
            max: 16,
            eager: 4,
            per_blob: 1
        }
    );
    let fills = config.fills();
    assert_eq!(fills.on_leave, OnLeave::Finish);
    assert_eq!(fills.max_age, Duration::from_hours(7 * 24));
    assert_eq!(fills.answer_within, Duration::from_secs(25));
    let share = |share: Share| (share.as_f64() * 10.0).to_string();
    assert_eq!(share(fills.finish_share), "5");
    assert_eq!(share(fills.max_share), "2");
    let rate = config.server().min_send_rate.unwrap();
    assert_eq!(rate.as_u64(), 1024);
}

#[test]
fn docker_hub_has_its_other_names_by_nature() {
    let config = parse(&format!(
        "{MINIMAL}upstreams.\"docker.io\".aliases = [\"hub\"]"
    ))
    .unwrap();
    let aliases: Vec<_> = config.upstreams()[0]
        .aliases
        .iter()
        .map(UpstreamName::as_str)
        .collect();
    assert_eq!(aliases, ["hub", "index.docker.io", "registry-1.docker.io"]);
}

#[test]
fn every_fault_is_in_one_report_in_the_order_of_the_file() {
    let text = r#"offline = "yes"
[server]
listen = ["127.0.0.1:5000", "here", 7, "127.0.0.1:5000"]
max_connections = 0
shutdown_grace = 30
lisen = []
min_send_rate = "fast"
rate_limited_status = 500
[admin]
listen = "127.0.0.1"
[store]
capacity = "50"
[fills]
on_leave = "stop"
finish_share = "half"
max_age = 7
max_share = 1.2
answer_within = "0s"
[log]
format = "xml"
level = "loud"
colour = true
[upstreams."docker.io"]
default = "true"
realms = ["https://auth.test"]
hosts = ["https://hub.test"]
rate_reserve = -1
private_redirects = 1
max_downloads = 0
eager = 2
eager_downloads = 0.5
[upstreams."docker.io".tags]
ttl = "60x"
stale = "7d"
[upstreams."docker.io".timeouts]
connect = "0s"
[upstreams."docker.io".auth]
mode = "open"
[upstreams."GHCR.io"]
url = "ghcr.io"
"#;
    let expected = [
        r#"1:1: offline: "yes" is not true or false"#,
        r#"3:29: server.listen[1]: "here" is not an address: write IP:PORT, such as "127.0.0.1:5000" or "[::]:5000""#,
        r#"3:37: server.listen[2]: 7 is not an address: write IP:PORT, such as "127.0.0.1:5000" or "[::]:5000""#,
        "4:1: server.max_connections: 0 is not a whole number of at least 1",
        r#"5:1: server.shutdown_grace: 30 is not a duration: write a number and a unit, such as "60s" or "7d""#,
        "6:1: server.lisen: unknown key; did you mean `listen`?",
        r#"7:1: server.min_send_rate: "fast" is not a size: write a number and a unit, such as "1KiB", or "0B" for no limit"#,
        "8:1: server.rate_limited_status: 500 is not a status for this: write 503 or 429",
        r#"10:1: admin.listen: "127.0.0.1" is not an address: write IP:PORT, such as "127.0.0.1:5000" or "[::]:5000""#,
        r#"12:1: store.capacity: "50" is not a size: write a number and a unit, such as "50GiB""#,
        r#"14:1: fills.on_leave: "stop" is not what to do with a download: write finish or keep"#,
        r#"15:1: fills.finish_share: "half" is not a share: write a number from 0 to 1, such as 0.5"#,
        r#"16:1: fills.max_age: 7 is not a duration: write a number and a unit, such as "60s" or "7d""#,
        "17:1: fills.max_share: 1.2 is not a share: write a number from 0 to 1, such as 0.5",
        r#"18:1: fills.answer_within: "0s" is not a time-out: it must be longer than 0s"#,
        r#"20:1: log.format: "xml" is not a log format: write text or json"#,
        r#"21:1: log.level: "loud" is not a level: write error, warn, info, debug or trace"#,
        "22:1: log.colour: unknown key; known here: format, level",
        r#"23:12: upstreams."docker.io".url: is missing"#,
        r#"24:1: upstreams."docker.io".default: "true" is not true or false"#,
        r#"25:11: upstreams."docker.io".realms[0]: "https://auth.test" is not a host name: write HOST or HOST:PORT in lower case, such as "ghcr.io""#,
        r#"26:10: upstreams."docker.io".hosts[0]: "https://hub.test" is not a host name: write HOST or HOST:PORT in lower case, such as "ghcr.io""#,
        r#"27:1: upstreams."docker.io".rate_reserve: -1 is not a whole number from 0 to 4294967295"#,
        r#"28:1: upstreams."docker.io".private_redirects: 1 is not true or false"#,
        r#"29:1: upstreams."docker.io".max_downloads: 0 is not a whole number of at least 1"#,
        r#"30:1: upstreams."docker.io".eager: 2 is not true or false"#,
        r#"31:1: upstreams."docker.io".eager_downloads: 0.5 is not a whole number"#,
        r#"33:1: upstreams."docker.io".tags.ttl: "60x" is not a duration: write a number and a unit, such as "60s" or "7d""#,
        r#"34:1: upstreams."docker.io".tags.stale: unknown key; did you mean `stale_if_error`?"#,
        r#"36:1: upstreams."docker.io".timeouts.connect: "0s" is not a time-out: it must be longer than 0s"#,
        r#"38:1: upstreams."docker.io".auth.mode: "open" is not a mode: write anonymous, own or client"#,
        r#"39:12: upstreams."GHCR.io": is not a host name: write HOST or HOST:PORT in lower case, such as "ghcr.io""#,
        r#"40:1: upstreams."GHCR.io".url: "ghcr.io" is not a registry's URL: write https://HOST or http://HOST:PORT"#,
    ];
    assert_eq!(faults(text), expected);
}

#[test]
fn nothing_at_all_misses_what_has_no_default() {
    assert_eq!(
        faults(""),
        [
            " store.capacity: is missing",
            " upstreams: declares no upstream to pull from"
        ]
    );
}

#[test]
fn an_error_of_syntax_has_a_line_and_a_column() {
    let report = faults("offline = true\n[store]\ncapacity = \n");
    assert!(report[0].starts_with("3:12: "), "{report:?}");
    // What follows from it is not guessed at.
    assert_eq!(report.len(), 1, "{report:?}");
    let report = faults("a = 1\na = 2\n");
    assert!(
        report[0].starts_with("2:1: ") && report[0].contains("duplicate"),
        "{report:?}"
    );
}

#[test]
fn a_value_in_the_place_of_a_table_is_refused() {
    assert_eq!(
        faults("store = 7\nupstreams = \"docker.io\"\nserver = []\n"),
        [
            "1:1: store: 7 is not a table",
            "2:1: upstreams: \"docker.io\" is not a table",
            "3:1: server: a list is not a table",
        ]
    );
    assert_eq!(
        faults_beside_minimal("upstreams.\"ghcr.io\" = true\nserver.listen = \"127.0.0.1:5000\""),
        [
            r#"4:11: upstreams."ghcr.io": true is not a table"#,
            r#"5:8: server.listen: "127.0.0.1:5000" is not a list"#,
        ]
    );
}

#[test]
fn listeners_do_not_share_a_port() {
    assert_eq!(
        faults_beside_minimal(
            "server.listen = [\"0.0.0.0:5000\", \"127.0.0.1:5000\", \"0.0.0.0:5000\"]\n\
             admin.listen = \"0.0.0.0:5000\"\n"
        ),
        [
            "4:34: server.listen[1]: 127.0.0.1:5000 takes the same port as 0.0.0.0:5000",
            "4:52: server.listen[2]: 0.0.0.0:5000 is listened on already",
            "5:7: admin.listen: 0.0.0.0:5000 is listened on already",
        ]
    );
    // The default of one counts as well.
    assert_eq!(
        faults_beside_minimal("admin.listen = \"127.0.0.1:5000\"\n"),
        ["4:7: admin.listen: 127.0.0.1:5000 is listened on already"]
    );
    assert_eq!(
        faults_beside_minimal("server.listen = []\n"),
        ["4:8: server.listen: names no address"]
    );
    let chosen_by_the_system = "server.listen = [\"127.0.0.1:0\"]\nadmin.listen = \"127.0.0.1:0\"";
    assert!(parse(&format!("{MINIMAL}{chosen_by_the_system}")).is_ok());
}

#[test]
fn no_name_means_two_upstreams() {
    assert_eq!(
        faults_beside_minimal(
            r#"
[upstreams."registry-1.docker.io"]
url = "https://registry-1.docker.io"
[upstreams."ghcr.io"]
url = "https://ghcr.io"
aliases = ["quay.io", "ghcr.io"]
hosts = ["hub.test:443", "quay.io:443"]
[upstreams."quay.io"]
url = "https://quay.io"
hosts = ["hub.test:443", "quay.io:443", "ghcr.io"]
"#
        ),
        [
            r#"5:12: upstreams."registry-1.docker.io": "registry-1.docker.io" is a name of the upstream docker.io already"#,
            r#"9:23: upstreams."ghcr.io".aliases[1]: "ghcr.io" is a name of the upstream ghcr.io already"#,
            r#"11:12: upstreams."quay.io": "quay.io" is a name of the upstream ghcr.io already"#,
            r#"13:10: upstreams."quay.io".hosts[0]: "hub.test:443" is a name of the upstream ghcr.io already"#,
            r#"13:26: upstreams."quay.io".hosts[1]: "quay.io:443" is a name of the upstream ghcr.io already"#,
            r#"13:41: upstreams."quay.io".hosts[2]: "ghcr.io" is a name of the upstream ghcr.io already"#,
        ]
    );
}

#[test]
fn one_upstream_at_most_is_the_default() {
    assert_eq!(
        faults_beside_minimal(
            "upstreams.\"docker.io\".default = true\n\
             upstreams.\"quay.io\" = { url = \"https://quay.io\", default = true }\n"
        ),
        [r#"5:50: upstreams."quay.io".default: the upstream docker.io is the default already"#]
    );
}

#[test]
fn a_file_is_read_from_its_own_folder_and_named_in_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roadstead.toml");

    let report = Config::load(&file).unwrap_err().to_string();
    assert!(
        report.starts_with(&format!("{}: cannot be read: ", file.display())),
        "{report}"
    );

    fs::write(&file, MINIMAL).unwrap();
    let config = Config::load(&file).unwrap();
    assert_eq!(config.store().path, folder.path().join("data"));

    fs::write(&file, "nonsense = 1").unwrap();
    let report = Config::load(&file).unwrap_err().to_string();
    assert!(
        report.starts_with(&format!("{}:1:1: nonsense: ", file.display())),
        "{report}"
    );
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "(\\PC|\n){0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_value_is_read_without_a_panic(
        key in prop::sample::select(vec![
            "offline", "server", "server.listen", "server.max_connections", "server.shutdown_grace",
            "admin.listen", "store.path", "log.level", "upstreams.x.url", "upstreams.\"${A}\".aliases",
            "upstreams.x.tags.ttl", "upstreams.x.auth", "upstreams.x.auth.mode", "server.min_send_rate",
            "fills", "fills.on_leave", "fills.max_share", "fills.max_age", "upstreams.x.eager_downloads",
            "server.rate_limited_status", "upstreams.x.hosts", "upstreams.x.rate_reserve", "upstreams.x.tags.rules",
        ]),
        value in prop::sample::select(vec![
            "0", "-1", "0.5", "0xffff_ffff_ffff_ffff", "1e9", "nan", "true", "\"\"", "\"${\"", "\"${PASSWORD}\"",
            "\"\\u0000\"", "[]", "[[]]", "{}", "{ a = {} }", "[{}]", "[{ tag = 'a', ttl = '1s' }, 1]", "1979-05-27", "\"9999999999999999y\"",
        ]),
    ) {
        if let Err(errors) = parse(&format!("{MINIMAL}{key} = {value}\n")) {
            prop_assert!(errors.iter().count() > 0);
            prop_assert!(!errors.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn a_written_capacity_is_the_capacity(bytes: NonZeroU64) {
        let bytes = bytes.get() >> 1 | 1;
        let config = parse(&MINIMAL.replace("\"1GiB\"", &bytes.to_string())).unwrap();
        prop_assert_eq!(config.store().capacity.as_u64(), bytes);
    }
}
