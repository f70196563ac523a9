//! The parameters of a request: in the query, of a POST too, for bodies are not read here.

use std::str::FromStr;

use url::form_urlencoded;

use super::trouble::Trouble;

/// The most items of a page.
const MOST: usize = 1000;
/// The items of a page when nobody says how many.
const USUAL: usize = 100;

/// The parameters of one request, in the order in which they came.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query of a target. A name that is not among `known` is refused: a typing mistake must not pass for
    /// a wish.
    pub(super) fn read(query: Option<&str>, known: &[&str]) -> Result<Self, Trouble> {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let pairs: Vec<_> = pairs.into_owned().collect();
        match pairs
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            Some((name, _)) if known.is_empty() => Err(Trouble::wrong(format!(
                "unknown parameter {name:?}; there are none here"
            ))),
            Some((name, _)) => {
                let known = known.join(", ");
                Err(Trouble::wrong(format!(
                    "unknown parameter {name:?}; known here: {known}"
                )))
            }
            None => Ok(Self(pairs)),
        }
    }

    /// The same with what stands in the path, as one more parameter.
    pub(super) fn with_id(mut self, id: Option<&str>) -> Self {
        let id = id.map(|id| ("id".to_owned(), id.to_owned()));
        self.0.extend(id);
        self
    }

    /// All parameters.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// All values of a parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let found = self.0.iter().filter(move |(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The one value of a parameter, if there is one.
    pub(super) fn one<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, Trouble> {
        let mut values = self.all(name);
        let value = values.next();
        match values.next() {
            Some(_) => Err(Trouble::wrong(format!("{name} is given more than once"))),
            None => Ok(value),
        }
    }

    /// The one value of a parameter that must be there.
    pub(super) fn required<'a>(&'a self, name: &'a str) -> Result<&'a str, Trouble> {
        let value = self.one(name)?.filter(|value| !value.is_empty());
        value.ok_or_else(|| Trouble::wrong(format!("{name} is missing")))
    }

    /// The one value of a parameter as something else, if there is one.
    pub(super) fn parsed<T>(&self, name: &str) -> Result<Option<T>, Trouble>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        let Some(value) = self.one(name)? else {
            return Ok(None);
        };
        let parsed = value.parse();
        let parsed = parsed.map_err(|why| Trouble::wrong(format!("{name}: {why}")));
        parsed.map(Some)
    }

    /// How many items a page has: `limit`, from 1 to 1000.
    pub(super) fn limit(&self) -> Result<usize, Trouble> {
        let limit = self.parsed("limit")?.unwrap_or(USUAL);
        if (1..=MOST).contains(&limit) {
            Ok(limit)
        } else {
            Err(Trouble::wrong(format!("limit must be from 1 to {MOST}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, known: &[&str]) -> Result<Query, String> {
        Query::read(Some(query), known).map_err(|trouble| trouble.to_string())
    }

    #[test]
    fn parameters_are_known_single_or_repeated() {
        let query = read("a=1&b=x%2Fy&b=z+z", &["a", "b"]).unwrap();
        assert_eq!(query.parsed::<u8>("a").unwrap(), Some(1));
        assert_eq!(query.all("b").collect::<Vec<_>>(), ["x/y", "z z"]);
        assert!(query.one("b").is_err());
        assert!(query.parsed::<u8>("c").unwrap().is_none());
        assert!(query.required("c").is_err());
        assert_eq!(
            read("c=1", &["a", "b"]).err().unwrap(),
            "unknown parameter \"c\"; known here: a, b"
        );
        assert!(read("c", &[]).is_err());
    }

    #[test]
    fn a_page_has_from_one_to_a_thousand_items() {
        for (query, limit) in [
            ("", Some(100)),
            ("limit=1", Some(1)),
            ("limit=1000", Some(1000)),
            ("limit=0", None),
            ("limit=1001", None),
            ("limit=-1", None),
            ("limit=x", None),
        ] {
            let read = read(query, &["limit"]).unwrap().limit();
            assert_eq!(read.ok(), limit, "{query}");
        }
    }
}
