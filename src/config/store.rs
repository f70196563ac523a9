//! `[store]`: where content is kept, and how much of it.

use std::path::PathBuf;

use bytesize::ByteSize;

use super::reading::Reported;
use super::section::Section;

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The data folder. A relative path of the file was taken from the folder of the file.
    pub path: PathBuf,
    /// How many bytes content and downloads in progress may take together; more than 0.
    pub capacity: ByteSize,
}

pub(super) fn read(section: &mut Section<'_>) -> Result<Store, Reported> {
    let path = section.or("path", PathBuf::from("data"));
    // No default: how much of a disk may be filled is for its owner to say.
    let capacity = section.required("capacity");
    Ok(Store {
        path: section.reading().resolve(&path?),
        capacity: capacity?,
    })
}
