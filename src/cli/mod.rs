//! The commands of the program, each a thin front of the rooms behind it.

pub mod config_check;
