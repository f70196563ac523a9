//! `Accept` of a manifest request, reduced to what matters: which types of manifest the client takes.
//!
//! A set of bits, because clients spell the same set in many ways (one line, six lines, any order), and because
//! the answer to a tag may depend on it: upstreams convert, or pick a child, for those who do not take what is
//! there. Quality values rank nothing, as in all registries; only `q=0` counts (RFC 9110 section 12.5.1).

use super::MediaType;

/// The types a client takes. Two requests with equal sets get equal answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Accepts(u8);

/// Each type with its bit, in the order in which upstream is told.
const TYPES: [(MediaType, u8); 7] = [
    (MediaType::OCI_INDEX, 1),
    (MediaType::DOCKER_MANIFEST_LIST, 1 << 1),
    (MediaType::OCI_MANIFEST, 1 << 2),
    (MediaType::DOCKER_MANIFEST, 1 << 3),
    (MediaType::OCI_ARTIFACT, 1 << 4),
    (MediaType::DOCKER_SCHEMA1_SIGNED, 1 << 5),
    (MediaType::DOCKER_SCHEMA1, 1 << 6),
];
const ANY: u8 = 1 << 7;
const MODERN: u8 = 0b1111;
const SCHEMA1: u8 = 0b110_0000;

impl Accepts {
    /// Every type that names an image today. Schema 1 is absent: some registries convert to it when it is offered.
    pub const MODERN: Self = Self(MODERN);
    /// Everything: for requests by digest, where the content is fixed and only a refusal is to be avoided.
    pub const EVERYTHING: Self = Self(u8::MAX);

    /// Reads the `Accept` lines of a request, merged into one set (RFC 9110 section 5.3). Types that are no manifests are
    /// not there; when nothing is left, anything is taken.
    pub fn of_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let ranges = lines.into_iter().flat_map(|line| line.split(','));
        let bits = ranges.fold(0, |bits, range| bits | bit(range));
        Self(if bits == 0 { ANY } else { bits })
    }

    /// Whether a manifest of this type may be the answer.
    ///
    /// `*/*` behind nothing but schema 1 is an old client's: it takes no other type.
    pub fn takes(self, media_type: &MediaType) -> bool {
        let known = TYPES.iter().find(|(known, _)| known == media_type);
        let named = known.is_some_and(|(_, bit)| self.0 & bit != 0);
        let is_old = self.0 & SCHEMA1 != 0 && self.0 & MODERN == 0;
        named || (self.0 & ANY != 0 && !is_old)
    }

    /// Whether the set names a type that `other` does not, so that asking upstream with it may bring more.
    pub fn names_more_than(self, other: Self) -> bool {
        self.0 & !ANY & !other.0 != 0
    }

    /// The value of `Accept` that asks for exactly this set.
    pub fn header(self) -> String {
        let named = TYPES
            .iter()
            .filter(|(_, bit)| self.0 & bit != 0)
            .map(|(media_type, _)| media_type.as_str());
        let any = (self.0 & ANY != 0).then_some("*/*");
        named.chain(any).collect::<Vec<_>>().join(", ")
    }

    /// The set as a number, for keys that outlive the process: a bit keeps its meaning.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The set with that number.
    pub fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
}

/// The bit of one media range; 0 for one that says nothing here.
fn bit(range: &str) -> u8 {
    let mut parts = range.split(';');
    let essence = parts.next().unwrap_or_default().trim();
    let refused = parts.any(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let zero = value.trim().parse::<f32>().is_ok_and(|q| q <= 0.0);
        name.trim().eq_ignore_ascii_case("q") && zero
    });
    if refused {
        return 0;
    }
    if essence == "*/*" || essence.eq_ignore_ascii_case("application/*") {
        return ANY;
    }
    let known = TYPES
        .iter()
        .find(|(known, _)| known.as_str().eq_ignore_ascii_case(essence));
    known.map_or(0, |(_, bit)| *bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    const SCHEMA2: &str = "application/vnd.docker.distribution.manifest.v2+json";
    const OLD: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

    #[test]
    fn item_18_many_lines_in_any_order_are_one_set() {
        let one = Accepts::of_lines([&*format!("{LIST}, {SCHEMA2};q=0.5")]);
        let many = Accepts::of_lines([SCHEMA2, "application/json", LIST]);
        assert_eq!(one, many);
        assert_eq!(one.header(), format!("{LIST}, {SCHEMA2}"));
        assert_eq!(Accepts::of_lines([&*one.header()]), one);
    }

    #[test]
    fn what_is_named_or_covered_is_taken() {
        let takes = |lines: &[&str], media_type: &MediaType| {
            Accepts::of_lines(lines.iter().copied()).takes(media_type)
        };
        assert!(takes(&[SCHEMA2], &MediaType::DOCKER_MANIFEST));
        assert!(!takes(&[SCHEMA2], &MediaType::DOCKER_MANIFEST_LIST));
        assert!(takes(&[SCHEMA2, "*/*"], &MediaType::OCI_INDEX));
        assert!(takes(&[], &MediaType::OCI_INDEX));
        assert!(takes(&["application/json"], &MediaType::OCI_INDEX));
        assert!(takes(&["application/*"], &MediaType::OCI_INDEX));
        assert!(!takes(&["*/*;q=0", SCHEMA2], &MediaType::OCI_INDEX));
        let unknown = "application/vnd.example+json"
            .parse()
            .unwrap_or(MediaType::OCTET_STREAM);
        assert!(takes(&["*/*"], &unknown));
        assert!(!takes(&[SCHEMA2], &unknown));
    }

    #[test]
    fn an_old_client_takes_schema_1_and_nothing_else() {
        let old = Accepts::of_lines([OLD, "*/*"]);
        assert!(old.takes(&MediaType::DOCKER_SCHEMA1_SIGNED));
        assert!(!old.takes(&MediaType::DOCKER_MANIFEST));
        assert!(old.names_more_than(Accepts::MODERN));
        assert!(!Accepts::of_lines([SCHEMA2, "*/*"]).names_more_than(Accepts::MODERN));
    }

    #[test]
    fn the_sets_of_our_own_are_what_they_say() {
        for (media_type, _) in &TYPES {
            assert!(Accepts::EVERYTHING.takes(media_type));
            let modern = Accepts::MODERN.takes(media_type);
            let old = media_type.is_schema1() || *media_type == MediaType::OCI_ARTIFACT;
            assert_eq!(modern, !old, "{media_type}");
        }
    }
}
