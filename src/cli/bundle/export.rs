//! `roadstead bundle export`: images out of this mirror, into files.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::Args;

use super::pieces::Output;
use super::{Failure, failure, misuse, open_store, progress};
use crate::app::names;
use crate::cli::figures::counted;
use crate::cli::warm::{files, read_images};
use crate::mirror::bundle::{BundleError, Cut, CutOptions, Selection, cut, write};
use crate::mirror::warm::WantedPlatform;
use crate::oci::Digest;
use crate::store::Store;

/// How hard it is compressed: zstd's own choice. Layers are compressed already, most of them.
const LEVEL: i32 = 3;

/// The command's own part of the command line.
#[derive(Args, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(in crate::cli) struct ExportArgs {
    /// The mirror's config file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Images, or patterns over tags that are known here: alpine:3.*
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// A list of images, one on each line; - is standard input.
    #[arg(short = 'f', long = "file", value_name = "LIST")]
    lists: Vec<PathBuf>,
    /// What is pinned under this name.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["images", "lists"])]
    pin: Option<String>,
    /// All that has a tag here.
    #[arg(long, conflicts_with_all = ["images", "lists", "pin"])]
    all: bool,
    /// The bundle.
    #[arg(short = 'o', long = "output", value_name = "OUT")]
    output: PathBuf,
    /// What the other side has, as `bundle have` writes it: that is left out.
    #[arg(long, value_name = "FILE")]
    have: Option<PathBuf>,
    /// Compresses it with zstd.
    #[arg(long)]
    zstd: bool,
    /// Writes pieces of this size at most: OUT.000, OUT.001 and so on.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    split: Option<ByteSize>,
    /// Only these platforms, such as linux/amd64,linux/arm64 [default: all].
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<WantedPlatform>,
    /// Also what refers to the images, as far as it is here.
    #[arg(long)]
    referrers: bool,
    /// Of the tags that a pattern matches only so many, the newest.
    #[arg(long, value_name = "N")]
    latest: Option<std::num::NonZeroUsize>,
    /// Leaves out what is not here, and says so.
    #[arg(long)]
    allow_missing: bool,
}

/// Whether all of it was here.
pub(super) fn run(args: &ExportArgs) -> Result<bool, Failure> {
    let selection = selection(args)?;
    let have = args.have.as_deref().map(read_have).transpose()?;
    let options = CutOptions {
        platforms: args.platform.clone(),
        referrers: args.referrers,
        latest: args.latest.map(std::num::NonZeroUsize::get),
        allow_missing: args.allow_missing,
        have: have.unwrap_or_default(),
    };
    let (config, store) = open_store(&args.config)?;
    let chosen = cut(&store, &names(&config), &selection, &options).map_err(|error| match error {
        BundleError::Missing(lines) => failure(format!(
            "not all of it is here:\n{}\nchoose by --platform, fetch it (roadstead warm), or leave it out by --allow-missing",
            lines.join("\n")
        )),
        error => failure(error.to_string()),
    })?;
    if chosen.images.is_empty() {
        let place = config.store().path.display();
        return Err(failure(format!(
            "nothing of what was asked for is kept in {place}"
        )));
    }
    let files = written(args, &chosen, &store)?;
    for lacking in &chosen.lacking {
        println!("left out: {lacking}");
    }
    let bytes = |bytes| ByteSize::b(bytes).display().iec();
    println!(
        "{}, {} blobs and manifests, {}; left out as known to the other side: {}, {}",
        counted(chosen.images.len(), "image"),
        chosen.content.len(),
        bytes(chosen.bytes()),
        chosen.had.len(),
        bytes(chosen.had.values().sum()),
    );
    for file in files {
        println!("{}", file.display());
    }
    Ok(chosen.lacking.is_empty())
}

/// The size of pieces.
fn size(text: &str) -> Result<ByteSize, String> {
    let size = text.parse::<ByteSize>().ok();
    let size = size.filter(|size| *size > ByteSize(0));
    size.ok_or_else(|| {
        "not a size: write a number and a unit, such as 4GiB, 700MB or 512KiB".to_owned()
    })
}

fn written(args: &ExportArgs, chosen: &Cut, store: &dyn Store) -> Result<Vec<PathBuf>, Failure> {
    let bar = progress::bar("writing", Some(chosen.bytes()));
    let mut tell = |bytes| bar.inc(bytes);
    let output = Output::new(&args.output, args.split.map(|size| size.as_u64()));
    let failed = |error: BundleError| failure(error.to_string());
    let io_failed = |error: io::Error| failure(error.to_string());
    let output = if args.zstd {
        let mut packed = zstd::stream::write::Encoder::new(output, LEVEL).map_err(io_failed)?;
        packed.include_checksum(true).map_err(io_failed)?;
        let packed = write(chosen, store, packed, &mut tell).map_err(failed)?;
        packed.finish().map_err(io_failed)?
    } else {
        write(chosen, store, output, &mut tell).map_err(failed)?
    };
    bar.finish_and_clear();
    output.finish().map_err(io_failed)
}

fn selection(args: &ExportArgs) -> Result<Selection, Failure> {
    if args.all {
        return Ok(Selection::All);
    }
    if let Some(name) = &args.pin {
        return Ok(Selection::Pinned(name.clone()));
    }
    let mut images = args.images.clone();
    for path in &args.lists {
        images.extend(files::list(path).map_err(misuse)?);
    }
    let wanted = read_images(&images).map_err(misuse)?;
    if wanted.is_empty() {
        return Err(misuse(
            "no image is named; say which, or --pin NAME, or --all",
        ));
    }
    Ok(Selection::Wanted(wanted))
}

/// The digests in a list of what the other side has.
fn read_have(path: &Path) -> Result<HashSet<Digest>, Failure> {
    let lines = files::list(path).map_err(misuse)?;
    let digests = lines.iter().map(|line| {
        let digest = line.parse::<Digest>();
        digest.map_err(|error| misuse(format!("{}: {line:?}: {error}", path.display())))
    });
    digests.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_a_size_that_is_one() {
        assert_eq!(size("4GiB"), Ok(ByteSize::gib(4)));
        assert_eq!(size("1000"), Ok(ByteSize::b(1000)));
        for text in ["foo", "", "0", "0B", "-1MiB", "4 parsecs"] {
            let why = size(text).expect_err(text);
            assert!(why.contains("such as 4GiB"), "{text}: {why}");
        }
    }
}
