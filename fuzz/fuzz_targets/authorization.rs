#![no_main]
//! See `parsers.rs`.

#[path = "../parsers.rs"]
#[allow(dead_code)]
mod parsers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parsers::attempt("authorization", bytes));
