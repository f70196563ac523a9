//! Random requests of several users over several repositories: nobody reads what is not theirs.

use std::collections::HashMap;
use std::time::Duration;

use super::{ALICE, BOB, Private, push, token};
use crate::support::dice::Dice;
use crate::support::http::send;
use crate::support::mirror::Plan;
use crate::support::registry::Access;
use crate::support::token::basic;
use crate::support::upstream::Upstream;

/// Known, and without any right.
const CAROL: (&str, &str) = ("carol", "carols-passw0rd");

/// How many requests: `ROADSTEAD_REQUESTS`, or a thousand.
fn requests() -> usize {
    let said = std::env::var("ROADSTEAD_REQUESTS");
    said.map_or(1000, |it| {
        it.parse().expect("ROADSTEAD_REQUESTS is a number")
    })
}

/// What a request asks for.
struct Question {
    method: &'static str,
    target: String,
    range: Option<&'static str>,
}

fn question(dice: &mut Dice, through: &str, image: &Private) -> Question {
    let get = |target: String| ("GET", target, None);
    let (method, target, range) = match dice.within(0..9) {
        0 => get("manifests/1".to_owned()),
        1 => ("HEAD", "manifests/1".to_owned(), None),
        2 => get(format!("manifests/{}", image.manifest)),
        3 => ("HEAD", format!("manifests/{}", image.manifest), None),
        4 => get(format!("blobs/{}", image.blob)),
        5 => ("HEAD", format!("blobs/{}", image.blob), None),
        6 => ("GET", format!("blobs/{}", image.blob), Some("bytes=7-99")),
        7 => get("tags/list".to_owned()),
        _ => get(format!("referrers/{}", image.manifest)),
    };
    let prefix = ["/v2", "/v2/docker.io", "/docker.io/v2"][dice.within(0..3)];
    Question {
        method,
        target: format!("{prefix}/{through}/{target}"),
        range,
    }
}

#[tokio::test]
async fn items_65_66_incidents_05_16_of_random_requests_none_reads_without_a_right() {
    let mut dice = Dice::thrown_for("rights");
    let upstream = Upstream::start(Access::Bearer).await;
    let images = [
        push(&upstream, "secret/a", 7).await,
        push(&upstream, "secret/b", 8).await,
    ];
    let tokens = upstream.registry.tokens();
    tokens.knows(ALICE.0, ALICE.1, &["secret/a"]);
    tokens.knows(BOB.0, BOB.1, &["secret/b"]);
    tokens.knows(CAROL.0, CAROL.1, &[]);
    let users = [None, Some(ALICE), Some(BOB), Some(CAROL)];
    let rights = [None, Some("secret/a"), Some("secret/b"), None];
    let plan = Plan::of(&upstream.tap).serving_clients("mirror");
    let mirror = plan.of_server("deny_ttl = \"1s\"").start().await;

    let mut known: HashMap<(usize, usize), String> = HashMap::new();
    let (mut read, mut refused) = (0, 0);
    for _ in 0..requests() {
        let (who, scope) = (dice.within(0..users.len()), dice.within(0..images.len()));
        let (through, of) = (dice.within(0..images.len()), dice.within(0..images.len()));
        let shown = match (users[who], dice.within(0..8)) {
            (_, 0) => None,
            // Unasked, and so nothing.
            (Some((name, password)), 1) => Some(basic(name, password)),
            (user, _) => {
                let key = (who, scope);
                let held = match known.remove(&key) {
                    Some(held) => held,
                    None => token(&mirror, user, images[scope].repository).await,
                };
                known.insert(key, held.clone());
                Some(held)
            }
        };
        let repository = images[through].repository;
        let asked = question(&mut dice, repository, &images[of]);
        let mut fields: Vec<_> = asked.range.map(|it| ("Range", it)).into_iter().collect();
        fields.extend(shown.as_deref().map(|it| ("Authorization", it)));
        let answer = send(mirror.address, asked.method, &asked.target, &fields, b"").await;
        let answer = answer.whole().await;
        let status = answer.status();

        let is_token = shown.as_deref().is_some_and(|it| it.starts_with("Bearer "));
        let may = is_token && scope == through && rights[who] == Some(repository);
        let context = format!(
            "{} {} as {:?} with a token for {}: {status}",
            asked.method, asked.target, users[who], images[scope].repository
        );
        let by_name = asked.target.ends_with("/manifests/1") || asked.target.ends_with("/list");
        if may && (of == through || by_name) {
            // docker-registry of this age knows no referrers.
            let is_known = matches!(status, 200 | 206);
            assert!(
                is_known || asked.target.contains("/referrers/"),
                "{context}"
            );
            read += 1;
        } else if may {
            // Of the other repository nothing is shown through this one.
            assert!(
                status == 404 || asked.target.contains("/referrers/"),
                "{context}"
            );
            refused += 1;
        } else {
            assert!(matches!(status, 401 | 403), "{context}");
            let told = answer.text();
            assert!(
                answer.body.is_empty() || told.contains("\"errors\""),
                "{context}: {told}"
            );
            assert!(answer.head.field("www-authenticate").is_some(), "{context}");
            for name in ["docker-content-digest", "etag", "content-range"] {
                assert_eq!(answer.head.field(name), None, "{context}");
            }
            refused += 1;
        }
    }
    println!("rights: {read} reads with a right, {refused} refused without one");
    assert!(read > requests() / 40 && refused > read, "{read} {refused}");
    mirror.rests(Duration::from_secs(20)).await;
    let crossed = upstream.tap.blobs();
    for image in &images {
        let bytes = crossed.get(&image.blob).map_or(0, |it| it.bytes);
        assert!(bytes <= image.layout.layers()[0].size, "{}", image.blob);
    }
}
