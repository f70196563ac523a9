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
    let Auth::Own(Account::Password { username, password }) = &config.upstreams()[0].auth else {
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
            "mode: \"open\" is not a mode: write anonymous, own or client",
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

#[test]
fn an_own_account_is_told_in_one_way() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "hunter2\n").unwrap();
    let parse = |auth: &str| {
        let text = format!("{MINIMAL}upstreams.\"docker.io\".auth = {{ {auth} }}\n");
        Config::parse_with(&text, folder.path(), &|name| {
            (name == "PASSWORD").then(|| "hunter2".to_owned())
        })
    };
    let auth = |auth: &str| parse(auth).unwrap().upstreams()[0].auth.clone();
    let Auth::Own(Account::Password { password, .. }) =
        auth(r#"mode = "own", username = "bob", password_env = "PASSWORD""#)
    else {
        panic!("no password");
    };
    assert_eq!(password.expose(), "hunter2");
    let Auth::Own(Account::IdentityToken(token)) =
        auth(r#"mode = "own", identity_token_file = "token""#)
    else {
        panic!("no token");
    };
    assert_eq!(token.expose(), "hunter2");
    let helper = |program: &Path, minutes| {
        let (program, ttl) = (program.to_owned(), Duration::from_mins(minutes));
        Auth::Own(Account::Program { program, ttl })
    };
    assert_eq!(
        auth(r#"mode = "own", helper = "ecr-login""#),
        helper(Path::new("ecr-login"), 30)
    );
    assert_eq!(
        auth(r#"mode = "own", helper = "bin/login", helper_ttl = "6h""#),
        helper(&folder.path().join("bin/login"), 360)
    );
    assert_eq!(auth(r#"mode = "client""#), Auth::Client(TokenRealm::Mirror));
    assert_eq!(
        auth(r#"mode = "client", realm = "upstream""#),
        Auth::Client(TokenRealm::Upstream)
    );

    for (auth, fault) in [
        (
            r#"mode = "own", helper = "x", username = "bob""#,
            "username: tells the account a second time, beside helper",
        ),
        (
            r#"mode = "own", identity_token_file = "token", password_file = "token""#,
            "password_file: tells the account a second time, beside identity_token_file",
        ),
        (
            r#"mode = "own", username = "bob", password_file = "token", password_env = "PASSWORD""#,
            "password_env: tells the password a second time, beside password_file",
        ),
        (
            r#"mode = "own", username = "bob", password_env = "GONE""#,
            "password_env: \"GONE\" is not set, or is empty",
        ),
        (
            r#"mode = "own", username = "bob", password_env = "hunter 2""#,
            "password_env: is not the name of an environment variable",
        ),
        (
            r#"mode = "own", username = "bob", password_file = "token", helper_ttl = "1h""#,
            "helper_ttl: is only read when there is a helper",
        ),
        (
            r#"mode = "own", helper = "x", helper_ttl = "7h""#,
            "helper_ttl: \"7h\" is not from 10s to 6h",
        ),
        (
            r#"mode = "client", username = "bob""#,
            "username: is only read when mode is \"own\"",
        ),
        (
            r#"mode = "client", helper = "x""#,
            "helper: is only read when mode is \"own\"",
        ),
        (
            r#"realm = "mirror""#,
            "realm: is only read when mode is \"client\"",
        ),
        (
            r#"mode = "client", realm = "elsewhere""#,
            "realm: \"elsewhere\" is not a realm: write mirror or upstream",
        ),
    ] {
        let report = parse(auth).unwrap_err().to_string();
        assert_eq!(report.lines().count(), 1, "{report}");
        assert!(report.contains(fault), "{report}");
        assert!(!report.contains("hunter"), "{report}");
    }
}

#[test]
fn the_mirrors_own_url_is_an_origin_and_access_has_bounds() {
    let server = |line: &str| {
        let text = format!("{MINIMAL}server.{line}\n");
        Config::parse(&text, Path::new("")).map(|config| config.server().clone())
    };
    let url = server("external_url = \"https://Mirror.Example/\"").unwrap();
    assert_eq!(url.external_url.as_deref(), Some("https://mirror.example"));
    for bad in [
        "mirror.example",
        "https://mirror.example/x",
        "ftp://mirror",
        "https://a:b@mirror",
    ] {
        let report = server(&format!("external_url = \"{bad}\"")).unwrap_err();
        assert!(
            report.to_string().contains("server.external_url: "),
            "{report}"
        );
    }
    for bad in ["0s", "61m", "1500ms"] {
        for key in ["access_ttl", "deny_ttl"] {
            let report = server(&format!("{key} = \"{bad}\"")).unwrap_err();
            let at = format!("server.{key}: \"{bad}\" is not a whole number of seconds");
            assert!(report.to_string().contains(&at), "{report}");
        }
    }
}
