//! The binary's demo, as a newcomer runs it: with no network, no config and no arguments but `--once`.

use std::process::Command;

#[test]
fn it_shows_a_miss_then_a_hit_that_moves_nothing() {
    let run = Command::new(env!("CARGO_BIN_EXE_roadstead"))
        .args(["demo", "--once"])
        .output()
        .expect("the binary runs");
    let out = String::from_utf8_lossy(&run.stdout);
    let err = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{out}\n{err}");
    assert_eq!(err, "", "nothing to warn of");

    let big: Vec<&str> = (out.lines())
        .filter(|line| line.contains("library/big"))
        .collect();
    let [first, second] = big.as_slice() else {
        panic!("{out}");
    };
    assert!(first.ends_with("miss"), "{out}");
    assert!(second.ends_with("hit") && second.contains(" 0 B "), "{out}");
    assert_eq!(first.matches("64.0 MiB").count(), 2, "{out}");
}
