//! Every real part that a test or a benchmark names is installed by `script/setup`: a test that fails for want of a part must not be
//! what a new machine shows first.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What the tests of missing parts name on purpose.
const NEVER_THERE: &str = "no-such-package";

/// The packages that `source` names as those of its parts.
fn named(source: &str) -> BTreeSet<&str> {
    source
        .split("package: \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|package| *package != NEVER_THERE)
        .collect()
}

/// The packages that `setup` installs: what follows the colon in its lists.
fn installed(setup: &str) -> BTreeSet<&str> {
    setup
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.rsplit_once(':'))
        .filter(|(part, _)| !part.contains(' '))
        .map(|(_, package)| package)
        .collect()
}

#[test]
fn setup_installs_every_part_that_a_test_or_benchmark_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let setup = fs::read_to_string(root.join("script/setup")).expect("script/setup");
    let installed = installed(&setup);
    let mut seen = 0;
    let tests = super::rust_files(&root.join("tests"));
    let benches = super::rust_files(&root.join("benches"));
    for file in tests.into_iter().chain(benches) {
        if file.ends_with("tidy/parts.rs") {
            continue;
        }
        let source = fs::read_to_string(&file).expect("UTF-8");
        for package in named(&source) {
            seen += 1;
            assert!(
                installed.contains(package),
                "{}: script/setup does not install {package}",
                file.display()
            );
        }
    }
    assert!(seen > 10, "only {seen} parts are named in tests/");
}

#[test]
fn parts_are_read_from_tests_and_lists() {
    let tests = "Part { command: \"a\", package: \"alpha\" } Part { package: \"no-such-package\" }";
    assert_eq!(named(tests), BTreeSet::from(["alpha"]));
    let setup = "parts=(\n    a:alpha\n    /etc/b:beta\n)\n    fail \"usage: x\"\n";
    assert_eq!(installed(setup), BTreeSet::from(["alpha", "beta"]));
}
