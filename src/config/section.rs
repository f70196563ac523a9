//! A table of the file, read key by key.
//!
//! A section hands out values as types ([`Setting`]), writes every fault to its [`Reading`], and at
//! its end names the keys that nobody asked for. A table that is not there is read as an empty one,
//! so a default is written in one place only: where its key is read.
//!
//! Read every key of a section first and use `?` only afterwards. A `?` in between hides the faults
//! of the keys behind it and makes them look unknown.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::environment::expand;
use super::reading::{Place, Placed, Reading, Reported};
use super::setting::{Setting, Value};

/// One table of the file, or the empty one in place of a table that is not there.
pub(super) struct Section<'a> {
    reading: &'a Reading<'a>,
    place: Place,
    table: Option<&'a DeTable<'a>>,
    /// The keys asked for so far.
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The whole file. Everything is read inside `read`; afterwards unknown keys are reported.
    pub(super) fn root<T>(
        reading: &'a Reading<'a>,
        table: &'a DeTable<'a>,
        read: impl FnOnce(&mut Section<'a>) -> T,
    ) -> T {
        Self::visit(reading, Place::default(), Some(table), read)
    }

    fn visit<T>(
        reading: &'a Reading<'a>,
        place: Place,
        table: Option<&'a DeTable<'a>>,
        read: impl FnOnce(&mut Section<'a>) -> T,
    ) -> T {
        let mut section = Section {
            reading,
            place,
            table,
            known: Vec::new(),
        };
        let read = read(&mut section);
        section.report_unknown_keys();
        read
    }

    pub(super) fn reading(&self) -> &'a Reading<'a> {
        self.reading
    }

    /// The value of `key`, or `default`.
    pub(super) fn or<T: Setting>(&mut self, key: &'static str, default: T) -> Result<T, Reported> {
        Ok(self.optional(key)?.unwrap_or(default))
    }

    /// The value of `key`; it is a fault if there is none.
    pub(super) fn required<T: Setting>(&mut self, key: &'static str) -> Result<T, Reported> {
        self.optional(key)?.ok_or_else(|| self.missing(key))
    }

    /// The value of `key`, if there is one.
    pub(super) fn optional<T: Setting>(
        &mut self,
        key: &'static str,
    ) -> Result<Option<T>, Reported> {
        let Some(found) = self.find(key) else {
            return Ok(None);
        };
        read_value(self.reading, &found.place, found.value).map(Some)
    }

    /// The values of the list `key`, each with its place, if there is such a list.
    pub(super) fn list<T: Setting>(
        &mut self,
        key: &'static str,
    ) -> Result<Option<Vec<Placed<T>>>, Reported> {
        let Some(found) = self.find(key) else {
            return Ok(None);
        };
        // Gathered before it is judged, so that each item's fault is seen.
        let items: Vec<_> = as_list(self.reading, &found)?
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let place = found.place.item(index, item.span().start);
                let value = read_value(self.reading, &place, item.get_ref())?;
                Ok(Placed { place, value })
            })
            .collect();
        items.into_iter().collect::<Result<_, _>>().map(Some)
    }

    /// Reads the table `key` inside this one.
    pub(super) fn table<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'a>) -> Result<T, Reported>,
    ) -> Result<T, Reported> {
        let Some(found) = self.find(key) else {
            return Self::visit(self.reading, self.place.key(key, None), None, read);
        };
        let table = as_table(self.reading, &found.place, found.value)?;
        Self::visit(self.reading, found.place, Some(table), read)
    }

    /// Reads each table inside the table `key`, whose keys are names. `read` gets the name and the
    /// place where it stands.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(Placed<&'a str>, &mut Section<'a>) -> Result<T, Reported>,
    ) -> Result<Vec<T>, Reported> {
        let Some(found) = self.find(key) else {
            return Ok(Vec::new());
        };
        let names = as_table(self.reading, &found.place, found.value)?;
        let read: Vec<_> = names
            .iter()
            .map(|(name, value)| {
                let place = found.place.key(name.get_ref(), Some(name.span().start));
                let table = as_table(self.reading, &place, value.get_ref())?;
                let name = Placed {
                    place: place.clone(),
                    value: name.get_ref().as_ref(),
                };
                Self::visit(self.reading, place, Some(table), |section| {
                    read(name, section)
                })
            })
            .collect();
        read.into_iter().collect()
    }

    /// Reads each table of the list `key`; none if there is no such list.
    pub(super) fn table_list<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'a>) -> Result<T, Reported>,
    ) -> Result<Vec<T>, Reported> {
        let Some(found) = self.find(key) else {
            return Ok(Vec::new());
        };
        let read: Vec<_> = as_list(self.reading, &found)?
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let place = found.place.item(index, item.span().start);
                let table = as_table(self.reading, &place, item.get_ref())?;
                Self::visit(self.reading, place, Some(table), &mut read)
            })
            .collect();
        read.into_iter().collect()
    }

    /// Reports that `key` is not there.
    pub(super) fn missing(&self, key: &'static str) -> Reported {
        self.error(key, "is missing")
    }

    /// Reports a fault of `key`.
    pub(super) fn error(&self, key: &'static str, message: impl Into<String>) -> Reported {
        self.reading.error(&self.place(key), message)
    }

    /// Reports a fault of the table as a whole.
    pub(super) fn own_error(&self, message: impl Into<String>) -> Reported {
        self.reading.error(&self.place, message)
    }

    /// Where the table is.
    pub(super) fn own_place(&self) -> Place {
        self.place.clone()
    }

    /// Reports why the value of `key` cannot be used; `reason` follows the value as the file has it.
    pub(super) fn refuse(&self, key: &'static str, reason: &str) -> Reported {
        let value = self.lookup(key).map(|found| shown(found.value));
        self.error(key, format!("{} {reason}", value.unwrap_or_default()))
    }

    /// Where `key` is, or the head of its table if it is not there.
    pub(super) fn place(&self, key: &'static str) -> Place {
        match self.lookup(key) {
            Some(found) => found.place,
            None => self.place.missing_key(key),
        }
    }

    fn find(&mut self, key: &'static str) -> Option<Placed<&'a DeValue<'a>>> {
        self.known.push(key);
        self.lookup(key)
    }

    fn lookup(&self, key: &'static str) -> Option<Placed<&'a DeValue<'a>>> {
        let (name, value) = self.table?.get_key_value(key)?;
        Some(Placed {
            place: self.place.key(key, Some(name.span().start)),
            value: value.get_ref(),
        })
    }

    fn report_unknown_keys(&self) {
        for name in self.table.into_iter().flat_map(DeTable::keys) {
            let (key, offset) = (name.get_ref().as_ref(), name.span().start);
            if !self.known.contains(&key) {
                let place = self.place.key(key, Some(offset));
                self.reading.error(&place, self.unknown_key(key));
            }
        }
    }

    /// Names the known key that is nearest to `key`, or all of them if none is near.
    fn unknown_key(&self, key: &str) -> String {
        const NEAR: f64 = 0.8;
        let nearest = (self.known.iter())
            .map(|known| (strsim::jaro_winkler(key, known), known))
            .filter(|(likeness, _)| *likeness >= NEAR)
            .max_by(|(a, _), (b, _)| a.total_cmp(b));
        match nearest {
            Some((_, known)) => format!("unknown key; did you mean `{known}`?"),
            None => format!("unknown key; known here: {}", self.known.join(", ")),
        }
    }
}

/// Reads one value, with the variables of a text replaced. The message quotes the file, never what
/// a variable holds.
fn read_value<T: Setting>(
    reading: &Reading<'_>,
    place: &Place,
    value: &DeValue<'_>,
) -> Result<T, Reported> {
    let expanded;
    let typed = match value {
        DeValue::String(text) => {
            expanded = expand(text, |name| reading.variable(name))
                .map_err(|error| reading.error(place, error.to_string()))?;
            Value::Text(&expanded)
        }
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other, Value::Integer),
        DeValue::Float(number) => number.as_str().parse().map_or(Value::Other, Value::Float),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        _ => Value::Other,
    };
    T::read(typed).map_err(|refusal| {
        let message = if refusal.is_private {
            refusal.reason.to_owned()
        } else {
            format!("{} {}", shown(value), refusal.reason)
        };
        reading.error(place, message)
    })
}

fn as_table<'a>(
    reading: &Reading<'_>,
    place: &Place,
    value: &'a DeValue<'a>,
) -> Result<&'a DeTable<'a>, Reported> {
    match value {
        DeValue::Table(table) => Ok(table),
        other => Err(reading.error(place, format!("{} is not a table", shown(other)))),
    }
}

fn as_list<'a>(
    reading: &Reading<'_>,
    found: &Placed<&'a DeValue<'a>>,
) -> Result<&'a DeArray<'a>, Reported> {
    match found.value {
        DeValue::Array(items) => Ok(items),
        other => {
            let message = format!("{} is not a list", shown(other));
            Err(reading.error(&found.place, message))
        }
    }
}

/// The value as a message quotes it: as the file has it, on one line.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// Parses the text into the table that [`Section::root`] reads, or reports every error of syntax.
pub(super) fn parse_table<'a>(reading: &Reading<'a>) -> Result<Spanned<DeTable<'a>>, Reported> {
    let (table, errors) = DeTable::parse_recoverable(reading.text());
    let mut parsed = Ok(table);
    for error in errors {
        let place = Place::in_text(error.span().map(|span| span.start));
        parsed = Err(reading.error(&place, error.message()));
    }
    parsed
}
