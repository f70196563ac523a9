//! `[[warm]]`

use std::time::Duration;

use super::*;

const BEFORE: &str = "[store]\ncapacity = \"1GiB\"\n[upstreams.\"docker.io\"]\nurl = \"https://registry-1.docker.io\"\n";

fn read(warm: &str) -> Result<Config, ConfigErrors> {
    Config::parse(&format!("{BEFORE}{warm}"), Path::new("/etc/roadstead"))
}

#[test]
fn a_list_is_read_with_all_that_it_says() {
    let text = "[[warm]]\nname = \"site\"\nimages = [\"alpine\", \"ghcr.io/o/r:1.*\"]\nlist = \"images.txt\"\nplatforms = [\"linux/arm64\", \"linux/amd64\"]\nreferrers = true\nlatest = 3\npin = \"site\"\non_start = true\nevery = \"6h\"\njitter = \"5m\"\n[[warm]]\nname = \"night\"\nimages = [\"a\"]\ncron = \"0 3 * * MON-FRI\"\n";
    let config = read(text).unwrap();
    let [site, night] = config.warm() else {
        panic!("{:?}", config.warm());
    };
    assert_eq!((&*site.name, site.images.len()), ("site", 2));
    assert_eq!(
        site.file.as_deref(),
        Some(Path::new("/etc/roadstead/images.txt"))
    );
    assert_eq!(site.beat, Some(WarmBeat::Every(Duration::from_hours(6))));
    assert_eq!(site.platforms[0].to_string(), "linux/amd64");
    assert_eq!(site.jitter, Duration::from_mins(5));
    assert!(site.on_start && site.referrers && !night.on_start);
    assert!(matches!(night.beat, Some(WarmBeat::Cron(_))));
}

#[test]
fn what_makes_no_sense_is_refused_with_the_path_of_its_key() {
    let list = |more: &str| format!("[[warm]]\nname = \"a\"\nimages = [\"alpine\"]\n{more}\n");
    for (text, fault) in [
        (
            list(""),
            "warm[0]: is never warmed: say on_start = true, every or cron",
        ),
        (
            "[[warm]]\nname = \"a\"\non_start = true\n".to_owned(),
            "warm[0]: names no image: say images or list",
        ),
        (
            "[[warm]]\nimages = [\"a\"]\non_start = true\n".to_owned(),
            "warm[0].name: is missing",
        ),
        (
            list("every = \"30s\""),
            "warm[0].every: \"30s\" is too often: at least \"1m\"",
        ),
        (
            list("every = \"1h\"\ncron = \"0 3 * * *\""),
            "warm[0].cron: has no effect beside every",
        ),
        (
            list("cron = \"0 3 * *\""),
            "warm[0].cron: \"0 3 * *\" is not a cron expression",
        ),
        (
            list("cron = \"0 0 3 * * *\""),
            "is not a cron expression of five fields",
        ),
        (
            list("on_start = true\nplatforms = [\"linux\"]"),
            "warm[0].platforms[0]: \"linux\" is not a platform",
        ),
        (
            list("on_start = true\nlatest = 0"),
            "warm[0].latest: 0 is not a whole number of at least 1",
        ),
        (
            list("on_start = true\nevry = \"1h\""),
            "warm[0].evry: unknown key; did you mean `every`?",
        ),
        (
            list("on_start = true").repeat(2),
            "warm[1].name: \"a\" is the name of another list",
        ),
        (
            "[[warm]]\nname = \"a b\"\nimages = [\"Alpine\"]\n".to_owned(),
            "warm[0].images[0]: \"Alpine\" is not an image",
        ),
        (
            "[[warm]]\nname = \"a b\"\nimages = [\"a\"]\n".to_owned(),
            "warm[0].name: \"a b\" is not a name",
        ),
    ] {
        let errors = read(&text).map(|_| text.clone()).unwrap_err().to_string();
        assert!(errors.contains(fault), "{text}\n{errors}");
    }
}

#[test]
fn a_list_is_read_anew_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("images.txt");
    let text = format!(
        "{BEFORE}[[warm]]\nname = \"a\"\nimages = [\"alpine\"]\nlist = \"images.txt\"\non_start = true\n"
    );
    let config = Config::parse(&text, folder.path()).unwrap();
    let wanted = || config.warm()[0].wanted();
    let error = wanted().unwrap_err();
    assert!(error.contains("images.txt: No such file"), "{error}");
    std::fs::write(&file, "# ours\nbusybox:1 # old\n\nalpine\n").unwrap();
    assert_eq!(wanted().unwrap().len(), 2);
    std::fs::write(&file, "Busybox\n").unwrap();
    let error = wanted().unwrap_err();
    assert!(
        error.ends_with("Busybox: a repository name is lowercase"),
        "{error}"
    );
}
