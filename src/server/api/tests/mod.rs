//! The registry API without a disk: requests in, responses out.

mod answers;
mod blobs;
mod listings;
mod oracle;
mod surface;
mod tags;
