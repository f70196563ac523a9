//! `roadstead bundle import`, `inspect` and `verify`: what is in files, and taking it in.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use bytesize::ByteSize;
use clap::Args;
use serde_json::json;

use super::folder::Folder;
use super::{Failure, failure, misuse, open_store, pieces, progress};
use crate::app::names;
use crate::cli::figures::counted;
use crate::mirror::Names;
use crate::mirror::bundle::{
    BundleError, Calling, Nothing, Plan, StoreHolds, Supply, Survey, Tarball, named, plan, survey,
    take_in,
};
use crate::oci::ImageReference;
use crate::store::{Retention, Store};

/// What is to be taken in, and what it is called.
#[derive(Args, Debug)]
pub(in crate::cli) struct ImportArgs {
    /// The mirror's config file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Bundles, other OCI layouts (folders or tars), what docker save wrote, or folders of a registry's storage.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What an image is called that has no full name, or of which repository its tags are.
    #[arg(long = "as", value_name = "IMAGE")]
    called: Option<ImageReference>,
    /// Whose repositories those of a registry's storage are.
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
}

/// What is to be looked at.
#[derive(Args, Debug)]
pub(in crate::cli) struct LookArgs {
    /// Bundles, other OCI layouts (folders or tars), or what docker save wrote.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Writes what is found as JSON.
    #[arg(long)]
    json: bool,
}

/// A bundle, and the name that it is shown under.
type Supplied = (String, Box<dyn Supply>);

/// The files of each bundle, by the name that it is shown under.
fn supplies(paths: &[PathBuf]) -> Result<Vec<Supplied>, Failure> {
    let bundles = pieces::bundles(paths).map_err(failure)?;
    let supplies = bundles.into_iter().map(|files| {
        let shown = files[0].display().to_string();
        let supply: Box<dyn Supply> = if files[0].is_dir() {
            Box::new(Folder::new(&files[0]))
        } else {
            Box::new(Tarball::new(move || pieces::open(&files)))
        };
        (shown, supply)
    });
    Ok(supplies.collect())
}

/// Looks at all files of a bundle, of which none may have more than `largest` bytes.
fn looked_at(shown: &str, supply: &dyn Supply, largest: u64) -> Result<Survey, Failure> {
    let bar = progress::bar("verifying", None);
    let surveyed = survey(supply, largest, &mut |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    surveyed.map_err(|error| refused(shown, &error))
}

fn refused(shown: &str, error: &BundleError) -> Failure {
    match error {
        // Which of the files it is, stands before it.
        BundleError::Io(error) => failure(error.to_string()),
        error => failure(format!("{shown}: refused: {error}")),
    }
}

/// Takes bundles in. Whether all that was in them was.
pub(super) fn run(args: &ImportArgs) -> Result<bool, Failure> {
    let supplies = supplies(&args.files)?;
    let (config, store) = open_store(&args.config)?;
    let names = names(&config);
    if let Some(upstream) = args.upstream.as_deref()
        && names.upstream(upstream).is_none()
    {
        let why = format!("--upstream: no upstream named {upstream} is declared");
        return Err(misuse(why));
    }
    let mut whole = true;
    for (shown, supply) in supplies {
        let survey = looked_at(&shown, &*supply, store.usage().capacity)?;
        let calling = Calling {
            names: &names,
            called: args.called.as_ref(),
            upstream: args.upstream.as_deref(),
        };
        // Old registries lack some of what they speak of.
        let lenient = args.upstream.is_some();
        let planned = planned(&survey, calling, &store, lenient);
        let plan = planned.map_err(|error| refused(&shown, &error))?;
        let bar = progress::bar("taking in", Some(plan.bytes));
        let taken = take_in(&plan, &*supply, &store, &mut |bytes| bar.inc(bytes));
        bar.finish_and_clear();
        let taken = taken.map_err(|error| failure(format!("{shown}: {error}")))?;
        for image in &plan.images {
            println!("{}", line(image));
        }
        for left_out in &plan.left_out {
            println!("left out: {left_out}");
        }
        println!(
            "{shown}: {}; {} blobs and manifests new, {}; {} were here",
            counted(plan.images.len(), "image"),
            taken.new,
            ByteSize::b(taken.new_bytes).display().iec(),
            taken.known,
        );
        whole &= plan.left_out.is_empty();
    }
    Ok(whole)
}

fn planned(
    survey: &Survey,
    calling: Calling<'_>,
    store: &dyn Store,
    lenient: bool,
) -> Result<Plan, BundleError> {
    let images = named(survey, calling)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    plan(survey, images, &StoreHolds(store), lenient, now)
}

fn line(image: &crate::mirror::bundle::Named) -> String {
    let (upstream, repository) = (&image.origin.upstream, &image.origin.repository);
    match &image.tag {
        Some(tag) => format!("{upstream}/{repository}:{tag} {}", image.digest),
        None => format!("{upstream}/{repository} {}", image.digest),
    }
}

/// Says what is in bundles. Their bytes are verified on the way.
pub(super) fn inspect(args: &LookArgs) -> Result<bool, Failure> {
    let mut all = Vec::new();
    for (shown, supply) in supplies(&args.files)? {
        let survey = looked_at(&shown, &*supply, u64::MAX)?;
        let known = survey.is_known();
        known.map_err(|error| refused(&shown, &error))?;
        let (count, bytes) = survey.amount();
        let images = survey.described();
        if args.json {
            all.push(json!({"file": shown, "count": count, "bytes": bytes, "images": images}));
            continue;
        }
        for image in &images {
            let name = image.name.as_deref().unwrap_or("(without a name)");
            println!("{name} {} {}", image.digest, image.platforms.join(","));
        }
        let bytes = ByteSize::b(bytes).display().iec();
        println!(
            "{shown}: {}, {count} blobs and manifests, {bytes}",
            counted(images.len(), "image")
        );
    }
    if args.json {
        println!("{}", json!(all));
    }
    Ok(true)
}

/// Says whether bundles are right: every digest, every size, and all that their images need. Of a bundle that leaves out
/// what the other side has, what is missing is told.
pub(super) fn verify(args: &LookArgs) -> Result<bool, Failure> {
    let mut whole = true;
    for (shown, supply) in supplies(&args.files)? {
        let survey = looked_at(&shown, &*supply, u64::MAX)?;
        let missing = missing(&survey).map_err(|error| refused(&shown, &error))?;
        whole &= missing.is_empty();
        let (count, _) = survey.amount();
        println!("{shown}: {count} blobs and manifests are right");
        for line in missing {
            println!("missing: {line}");
        }
    }
    Ok(whole)
}

/// What the images of a bundle need and is not in it.
fn missing(survey: &Survey) -> Result<Vec<String>, BundleError> {
    let registries = survey.described().into_iter().filter_map(|image| {
        let name = image.name?.parse::<ImageReference>().ok()?;
        let registry = name.name().registry().to_owned();
        Some((registry.clone(), registry.into()))
    });
    let upstream = "registry.invalid";
    let called: Option<ImageReference> = format!("{upstream}/image").parse().ok();
    let own = survey
        .upstreams()
        .into_iter()
        .map(|it| (it.clone(), it.into()));
    let nobody = std::iter::once((upstream.to_owned(), upstream.into()));
    let names = Names::new(registries.chain(own).chain(nobody));
    let calling = Calling {
        names: &names,
        called: called.as_ref(),
        upstream: Some(upstream),
    };
    let images = named(survey, calling)?;
    match plan(survey, images, &Nothing, false, 0) {
        Ok(_) => Ok(Vec::new()),
        Err(BundleError::Missing(missing)) => Ok(missing),
        Err(error) => Err(error),
    }
}
