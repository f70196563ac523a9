//! The registry API without a disk: requests in, responses out.

mod answers;
mod blobs;
mod listings;
mod oracle;
mod rules;
mod surface;
mod tags;
