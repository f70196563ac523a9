//! The README shows what `script/bench` measured last: the summary of `docs/bench/table.md`, and plots that are there.

use std::fs;
use std::path::Path;

const MARKS: (&str, &str) = ("<!-- script/bench -->\n", "<!-- /script/bench -->\n");

/// What is measured: each case is a file.
fn cases(root: &Path) -> Vec<String> {
    let files = super::rust_files(&root.join("benches/peers/cases"));
    let names = files.iter().filter_map(|file| file.file_stem()?.to_str());
    names.map(str::to_owned).collect()
}

#[test]
fn the_readme_shows_the_summary_of_what_was_measured_last() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| fs::read_to_string(root.join(file)).expect("UTF-8");
    let (readme, table) = (read("README.md"), read("docs/bench/table.md"));
    let (summary, _) = table.split_once("\n###").expect("tables");
    assert!(summary.starts_with("20"), "no date: {summary}");
    let (_, rest) = readme.split_once(MARKS.0).expect("a place for it");
    let (shown, _) = rest.split_once(MARKS.1).expect("an end of it");
    assert_eq!(shown, summary, "say script/bench --again");
    for case in cases(root) {
        for (name, text) in [("summary", shown), ("table", &*table)] {
            let is_there = text.contains(&format!("\n| {case}: "))
                || text.contains(&format!("\n### {case}: "));
            assert!(is_there, "{case} is not in the {name}: keep all cases");
        }
    }
    let plots: Vec<_> = readme
        .split("](docs/bench/")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .collect();
    assert!(plots.len() > 3, "{plots:?}");
    for plot in plots {
        assert!(root.join("docs/bench").join(plot).is_file(), "{plot}");
    }
}
