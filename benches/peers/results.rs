//! What was measured, as it came, and what is made of it.

use serde::{Deserialize, Deserializer, Serialize};

/// A figure that a case has for each of its peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Figure {
    /// The case it belongs to.
    pub(crate) case: &'static str,
    /// What it is, with its unit.
    pub(crate) name: &'static str,
    /// Whether a larger one is the better one.
    pub(crate) more_is_better: bool,
}

impl Figure {
    /// One of which more is better.
    pub(crate) const fn more(case: &'static str, name: &'static str) -> Self {
        Self {
            case,
            name,
            more_is_better: true,
        }
    }

    /// Which is better: `more` or `less`.
    pub(crate) fn better(self) -> &'static str {
        if self.more_is_better { "more" } else { "less" }
    }

    /// One of which less is better.
    pub(crate) const fn less(case: &'static str, name: &'static str) -> Self {
        Self {
            case,
            name,
            more_is_better: false,
        }
    }
}

/// One value of one figure in one round.
#[derive(Debug, Clone, Serialize)]
struct Sample {
    #[serde(flatten)]
    figure: Figure,
    /// Under which conditions.
    variant: String,
    peer: &'static str,
    value: f64,
}

/// All that was measured, in the order in which it came.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    samples: Vec<Sample>,
    /// What a reader of the table must know of a case, such as who was left out and why.
    notes: Vec<(String, String)>,
}

/// A sample as it was written down.
#[derive(Deserialize)]
struct Written {
    case: String,
    name: String,
    more_is_better: bool,
    variant: String,
    peer: String,
    value: f64,
}

impl<'de> Deserialize<'de> for Sample {
    /// Its names are kept until the program ends, as those of all samples are.
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(source)?;
        let figure = Figure {
            case: written.case.leak(),
            name: written.name.leak(),
            more_is_better: written.more_is_better,
        };
        Ok(Self {
            figure,
            variant: written.variant,
            peer: written.peer.leak(),
            value: written.value,
        })
    }
}

impl Results {
    /// Takes a value down.
    pub(crate) fn add(&mut self, figure: Figure, variant: &str, peer: &'static str, value: f64) {
        self.samples.push(Sample {
            figure,
            variant: variant.to_owned(),
            peer,
            value,
        });
    }

    /// Takes down what must be known of a case.
    pub(crate) fn note(&mut self, case: &str, text: impl Into<String>) {
        let note = (case.to_owned(), text.into());
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Puts `newer` ones in the place of those of the same cases.
    pub(crate) fn renewed(self, newer: Self) -> Self {
        let is_new = |case: &str| {
            newer
                .samples
                .iter()
                .any(|sample| sample.figure.case == case)
        };
        let (old, new) = (self.samples, newer.samples.clone());
        let cases = distinct(old.iter().chain(&new).map(|sample| sample.figure.case));
        let of = |case| {
            let from = if is_new(case) { &new } else { &old };
            from.iter().filter(move |sample| sample.figure.case == case)
        };
        let samples = cases.into_iter().flat_map(of).cloned().collect();
        let mut notes = self.notes;
        notes.retain(|(case, _)| !is_new(case));
        notes.extend(newer.notes);
        Self { samples, notes }
    }

    /// Puts those of another case behind these.
    pub(crate) fn extend(&mut self, more: Self) {
        self.samples.extend(more.samples);
        self.notes.extend(more.notes);
    }

    /// The figures for which there are values, in order.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        distinct(self.samples.iter().map(|sample| sample.figure))
    }

    /// Who has values of this figure, the mirror first.
    pub(crate) fn peers(&self, figure: Figure) -> Vec<&'static str> {
        let mut peers = distinct(self.of(figure).map(|sample| sample.peer));
        peers.sort_by_key(|peer| *peer != super::peer::ROADSTEAD);
        peers
    }

    /// Under which conditions this figure was measured, in order.
    pub(crate) fn variants(&self, figure: Figure) -> Vec<&str> {
        distinct(self.of(figure).map(|sample| &*sample.variant))
    }

    /// The median of a peer's values of this figure.
    pub(crate) fn median(&self, figure: Figure, variant: &str, peer: &str) -> Option<f64> {
        let values = self.of(figure);
        let values = values.filter(|sample| sample.variant == variant && sample.peer == peer);
        median(values.map(|sample| sample.value).collect())
    }

    /// What must be known of this case.
    pub(crate) fn notes(&self, case: &str) -> impl Iterator<Item = &str> {
        let notes = self.notes.iter().filter(move |(of, _)| *of == case);
        notes.map(|(_, text)| &**text)
    }

    fn of(&self, figure: Figure) -> impl Iterator<Item = &Sample> {
        let samples = self.samples.iter();
        samples.filter(move |sample| sample.figure == figure)
    }
}

/// The value in the middle; of two in the middle, the mean.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = ((values.len().checked_sub(1)?) / 2, values.len() / 2);
    Some(f64::midpoint(values[low], values[high]))
}

/// Each of them once, where it came first.
fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.fold(Vec::new(), |mut seen, one| {
        if !seen.contains(&one) {
            seen.push(one);
        }
        seen
    })
}
