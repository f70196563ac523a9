//! The engine.

mod clock;
mod fill;
mod flight;
mod freshness;
mod outcome;
