//! `[store]`: where content is kept, and how much of it.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;

use super::reading::Reported;
use super::section::Section;
use super::setting::Limit;
use super::share::Share;

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The data folder. A relative path of the file was taken from the folder of the file.
    pub path: PathBuf,
    /// How many bytes content and downloads in progress may take together; more than 0.
    pub capacity: ByteSize,
    /// The share of the capacity at which eviction begins, and the one at which it ends; `low` is not more than `high`.
    pub high_water: Share,
    /// See [`Store::high_water`].
    pub low_water: Share,
    /// Bytes of the file system that are left alone. `None`: what suits the file system.
    pub min_free: Option<ByteSize>,
    /// Content that was used within this time is not evicted.
    pub min_age: Duration,
    /// Content that was not used for so long is collected as garbage, if no pin covers it. `None`: however old.
    pub max_age: Option<Duration>,
    /// What no tag and no pin reaches is garbage when it was not used for so long.
    pub unused_for: Duration,
    /// Bytes per second that are hashed anew in the background. `None`: none.
    pub verify_rate: Option<ByteSize>,
}

pub(super) fn read(section: &mut Section<'_>) -> Result<Store, Reported> {
    let path = section.or("path", PathBuf::from("data"));
    // No default: how much of a disk may be filled is for its owner to say.
    let capacity = section.required("capacity");
    let high_water = section.or("high_water", Share::HIGH_WATER);
    let low_water = section.or("low_water", Share::LOW_WATER);
    let min_free = section.optional::<Limit>("min_free");
    let min_age = section.or("min_age", Duration::from_secs(10));
    let max_age = section.optional("max_age");
    let unused_for = section.or("unused_for", Duration::from_hours(24));
    let verify_rate = section.or("verify_rate", Limit(Some(ByteSize::mib(4))));

    let (high_water, low_water) = (high_water?, low_water?);
    if low_water.as_f64() > high_water.as_f64() {
        return Err(section.refuse("low_water", "is more than high_water"));
    }
    Ok(Store {
        path: section.reading().resolve(&path?),
        capacity: capacity?,
        high_water,
        low_water,
        min_free: min_free?.map(|limit| limit.0.unwrap_or_default()),
        min_age: min_age?,
        max_age: max_age?,
        unused_for: unused_for?,
        verify_rate: verify_rate?.0,
    })
}
