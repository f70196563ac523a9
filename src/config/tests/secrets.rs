//! What a config takes from elsewhere, variables and passwords: used, and never shown.

use super::*;

#[test]
fn variables_stand_in_values_and_are_never_shown() {
    let text = MINIMAL.replace("registry-1.docker.io", "${REGISTRY}");
    let config = parse(&text).unwrap();
    assert_eq!(config.upstreams()[0].url.as_str(), "https://registry.test/");

    assert_eq!(
        faults_beside_minimal(
            "server.shutdown_grace = \"${GRACE}\"\nlog.level = \"${PASSWORD}\"\n"
        ),
        [
            "4:8: server.shutdown_grace: the environment variable GRACE is not set (or is not UTF-8)",
            r#"5:5: log.level: "${PASSWORD}" is not a level: write error, warn, info, debug or trace"#,
        ]
    );
}

#[test]
fn a_password_in_the_wrong_place_is_refused_and_never_shown() {
    let auth = r#"mode = "own", username = "bob", password_file = "${PASSWORD}""#;
    let report = faults_beside_minimal(&format!("upstreams.\"docker.io\".auth = {{ {auth} }}"));
    assert!(
        report[0].contains("password_file: \"${PASSWORD}\" cannot be read: "),
        "{report:?}"
    );
    assert!(!report[0].contains("hunter2"), "{report:?}");

    let report = faults(&MINIMAL.replace("https://", "https://bob:hunter2@"));
    assert_eq!(
        report,
        [
            r#"3:23: upstreams."docker.io".url: must not hold a user name or a password: they belong into the auth table"#
        ]
    );
}

#[test]
fn an_own_account_has_a_name_and_a_password_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hub.password"), "hunter2\n").unwrap();
    let parse = |auth: &str| {
        let text = format!("{MINIMAL}upstreams.\"docker.io\".auth = {{ {auth} }}\n");
        Config::parse(&text, folder.path())
    };
    let config =
        parse(r#"mode = "own", username = "bob", password_file = "hub.password""#).unwrap();
    let Auth::Own { username, password } = &config.upstreams()[0].auth else {
        panic!("{config:?}");
    };
    assert_eq!((username.as_str(), password.expose()), ("bob", "hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));

    let at = "config:4:23: upstreams.\"docker.io\".auth";
    for (auth, fault) in [
        (
            "mode = \"own\", username = \"bob\"",
            "password_file: is missing",
        ),
        (
            "mode = \"own\", username = \"a:b\", password_file = \"hub.password\"",
            "username: \"a:b\" is not a user name",
        ),
        (
            "mode = \"own\", username = \"bob\", password_file = \"gone\"",
            "password_file: \"gone\" cannot be read: ",
        ),
        (
            "username = \"bob\"",
            "username: is only read when mode is \"own\"",
        ),
        (
            "password_file = \"x\"",
            "password_file: is only read when mode is \"own\"",
        ),
        (
            "mode = \"open\"",
            "mode: \"open\" is not a mode: write anonymous or own",
        ),
    ] {
        let report = parse(auth).unwrap_err().to_string();
        assert_eq!(report.lines().count(), 1, "{report}");
        assert!(report.contains(fault), "{report}");
        assert!(report.contains("upstreams.\"docker.io\".auth."), "{report}");
    }
    let report = parse("mode = \"own\"").unwrap_err().to_string();
    assert_eq!(
        report,
        format!("{at}.password_file: is missing\n{at}.username: is missing")
    );
}
