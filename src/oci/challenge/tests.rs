use proptest::prelude::*;

use super::*;

fn read(value: &str) -> Vec<String> {
    Challenge::parse_all(value)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn writes_the_form_every_client_reads() {
    let challenge = Challenge::bearer("https://m/token", "m", Some("repository:a/b:pull"));
    assert_eq!(
        challenge.to_string(),
        r#"Bearer realm="https://m/token",service="m",scope="repository:a/b:pull""#
    );
    assert_eq!(
        Challenge::bearer("https://m/token", "m", None)
            .with_param("error", "insufficient_scope")
            .to_string(),
        r#"Bearer realm="https://m/token",service="m",error="insufficient_scope""#
    );
    assert_eq!(
        Challenge::basic(r#"a "b" \"#).to_string(),
        r#"Basic realm="a \"b\" \\""#
    );
    assert_eq!(
        Challenge::basic("a\r\nSet-Cookie: b").to_string(),
        r#"Basic realm="aSet-Cookie: b""#
    );
}

#[test]
fn reads_what_registries_send() {
    for (value, expected) in [
        (
            r#"Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push""#,
            vec![
                r#"Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push""#,
            ],
        ),
        (
            r#"bearer REALM="r", Service = "s" , scope=x:y:pull"#,
            vec![r#"Bearer realm="r",service="s",scope="x:y:pull""#],
        ),
        (
            r#"Bearer realm="r" service="s""#,
            vec![r#"Bearer realm="r",service="s""#],
        ),
        (
            "Bearer realm=https://r.example/t?a=b,service=s",
            vec![r#"Bearer realm="https://r.example/t?a=b",service="s""#],
        ),
        (
            r#"Basic realm="x", Bearer realm="y",service="z""#,
            vec![r#"Basic realm="x""#, r#"Bearer realm="y",service="z""#],
        ),
        (
            r#"Negotiate, Basic realm="x""#,
            vec!["negotiate", r#"Basic realm="x""#],
        ),
        (
            r#"Negotiate YWJj+/==, Basic realm="x""#,
            vec!["negotiate YWJj+/==", r#"Basic realm="x""#],
        ),
        ("Negotiate YWJj", vec!["negotiate YWJj"]),
        (
            r#"Basic realm="a \"b\", c=\"d\"""#,
            vec![r#"Basic realm="a \"b\", c=\"d\"""#],
        ),
        (r#", ,Basic realm="x",,"#, vec![r#"Basic realm="x""#]),
        ("Basic", vec!["Basic"]),
        ("", vec![]),
        (r#"realm="x""#, vec![]),
        // Cut short: the value is dropped, the scheme is not.
        (
            r#"Bearer service="s",realm="https://r.exa"#,
            vec![r#"Bearer service="s""#],
        ),
    ] {
        assert_eq!(read(value), expected, "{value}");
    }
}

#[test]
fn parameters_are_found_by_name() {
    let value =
        r#"Bearer Realm="r",service="s",scope="a b",error="insufficient_scope",realm="second""#;
    let challenges = Challenge::parse_all(value);
    let [challenge] = challenges.as_slice() else {
        panic!("one challenge expected: {challenges:?}");
    };
    assert_eq!(challenge.scheme(), &Scheme::Bearer);
    assert_eq!(challenge.realm(), Some("r"));
    assert_eq!(challenge.service(), Some("s"));
    assert_eq!(challenge.scope(), Some("a b"));
    assert_eq!(challenge.error(), Some("insufficient_scope"));
    assert_eq!(challenge.param("nonce"), None);
}

fn challenge() -> impl Strategy<Value = Challenge> {
    let scheme = prop_oneof![
        Just(Scheme::Basic),
        Just(Scheme::Bearer),
        "x[a-z0-9-]{0,6}".prop_map(Scheme::Other)
    ];
    let params = prop::collection::vec(("[a-z][a-z0-9_]{0,6}", "[ -~]{0,12}|\\PC{0,6}"), 0..4);
    let token68 = prop::option::of("[A-Za-z0-9._~+/-]{1,12}={0,2}");
    (scheme, params, token68).prop_map(|(scheme, params, token68)| Challenge {
        scheme,
        params,
        token68,
    })
}

proptest! {
    #[test]
    fn round_trips(challenges in prop::collection::vec(challenge(), 0..4)) {
        let lines: Vec<_> = challenges.iter().map(ToString::to_string).collect();
        prop_assert_eq!(Challenge::parse_all(&lines.join(", ")), challenges);
    }

    #[test]
    fn any_text_is_read_and_written_without_line_breaks(text in "[Ba =\",\\\\\r\n]{0,24}|(?s).{0,24}") {
        for challenge in Challenge::parse_all(&text) {
            let line = challenge.to_string();
            prop_assert!(!line.contains(char::is_control));
            prop_assert_eq!(Challenge::parse_all(&line), vec![challenge]);
        }
    }
}
