//! `[upstreams]`: all of them together, where no name may mean two and only one may be the default.

use std::collections::BTreeMap;

use super::reading::{Reading, Reported};
use super::section::Section;
use super::upstream::{self, Declared, Upstream};
use super::upstream_name::UpstreamName;

pub(super) fn read(root: &mut Section<'_>) -> Result<Vec<Upstream>, Reported> {
    let reading = root.reading();
    let declared = root.tables("upstreams", upstream::read)?;
    if declared.is_empty() {
        return Err(root.error("upstreams", "declares no upstream to pull from"));
    }
    let names = refuse_shared_names(reading, &declared);
    let default = refuse_second_default(reading, &declared);
    names.and(default)?;
    Ok(declared
        .into_iter()
        .map(|declared| declared.upstream)
        .collect())
}

/// Reports each name that an earlier upstream has already.
fn refuse_shared_names(reading: &Reading<'_>, declared: &[Declared]) -> Result<(), Reported> {
    let mut owners: BTreeMap<&UpstreamName, &UpstreamName> = BTreeMap::new();
    let mut outcome = Ok(());
    for Declared {
        upstream, names, ..
    } in declared
    {
        for name in names {
            if let Some(owner) = owners.insert(&name.value, &upstream.name) {
                let message = format!(
                    "{:?} is a name of the upstream {owner:?} already",
                    name.value.as_str()
                );
                outcome = Err(reading.error(&name.place, message));
            }
        }
    }
    outcome
}

/// Reports each upstream that says it is the default after another one did.
fn refuse_second_default(reading: &Reading<'_>, declared: &[Declared]) -> Result<(), Reported> {
    let mut defaults = declared
        .iter()
        .filter(|declared| declared.upstream.is_default);
    let Some(first) = defaults.next() else {
        return Ok(());
    };
    let mut outcome = Ok(());
    for another in defaults {
        let message = format!(
            "the upstream {} is the default already",
            first.upstream.name
        );
        outcome = Err(reading.error(&another.default, message));
    }
    outcome
}
