//! The engine over a store in memory and a scripted upstream: what each invariant promises.

mod accepts;
mod access;
mod admission;
mod ahead;
mod breaks;
mod fills;
mod leaving;
mod listings;
mod odd;
mod parts;
mod past;
mod resume;
mod rights;
mod signed;
mod split;
mod tags;
mod torture;
mod weather;
mod withdrawn;
