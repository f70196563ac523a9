//! The registry API without a disk: requests in, responses out.

mod answers;
mod blobs;
mod surface;
