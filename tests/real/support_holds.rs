//! What the other tests stand on holds: registries, images, tap and clients, proven without the mirror.

mod clients;
mod registries;
mod tap;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::support::mirror::sum;
use crate::support::process::Part;

/// Bytes of the layers of each image.
const SIZES: [usize; 3] = [300_000, 20_000, 10];

#[test]
fn a_missing_part_is_named_with_its_package() {
    let missing = Part {
        program: "no-such-program",
        package: "no-such-package",
    };
    let panic = catch_unwind(AssertUnwindSafe(|| missing.command())).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert_eq!(
        message,
        "no-such-program is missing (Debian package no-such-package): run script/setup --parts, or --torture"
    );
}

#[test]
fn samples_are_added_by_name_and_labels() {
    let page = "# HELP a_total x\na_total{u=\"x\",k=\"blob\"} 2\na_total{u=\"x\",k=\"tag\"} 3\na_total_more 9\nb 4\n";
    assert_eq!(sum(page, "a_total", &[]).to_string(), "5");
    assert_eq!(sum(page, "a_total", &[("k", "blob")]).to_string(), "2");
    assert_eq!(sum(page, "b", &[]).to_string(), "4");
    assert_eq!(sum(page, "c", &[]).to_string(), "0");
}
