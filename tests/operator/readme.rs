//! The queries in the README, for who looks for why pulls are slow.

use std::path::Path;

/// A query says so in a comment when it is right that nothing comes of it.
const MAY_BE_EMPTY: &str = "# nothing, ";

/// One query.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) may_be_empty: bool,
}

/// Every query of the README, in order: what stands in fences that say `promql`.
pub(crate) fn queries() -> Vec<Told> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    read(&std::fs::read_to_string(file).unwrap())
}

fn read(text: &str) -> Vec<Told> {
    let mut queries = Vec::new();
    let mut fence: Option<Told> = None;
    for line in text.lines().map(str::trim) {
        match (&mut fence, line) {
            (None, "```promql") => {
                fence = Some(Told {
                    text: String::new(),
                    may_be_empty: false,
                });
            }
            (None, _) => {}
            (Some(_), "```") => queries.extend(fence.take()),
            (Some(query), line) => {
                query.may_be_empty |= line.starts_with(MAY_BE_EMPTY);
                query.text.push_str(line);
                query.text.push('\n');
            }
        }
    }
    assert!(fence.is_none(), "a fence that nothing closes");
    queries
}

#[test]
fn queries_are_found_in_their_fences() {
    let text = "```sh\nls\n```\n1. a\n\n   ```promql\n   sum(x)\n     / y\n   # nothing, if so\n   ```\n```promql\nz\n```";
    let told: Vec<_> = read(text)
        .into_iter()
        .map(|it| (it.text, it.may_be_empty))
        .collect();
    let first = "sum(x)\n/ y\n# nothing, if so\n".to_owned();
    assert_eq!(told, [(first, true), ("z\n".to_owned(), false)]);
    assert!(queries().len() >= 14, "{:?}", queries());
}
