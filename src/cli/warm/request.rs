//! An order as requests: as many as it takes for each to be short enough. Pure.

use crate::mirror::warm::Order;

/// The most bytes of a query: proxies on the way, and our own door, bear more than this.
const MAX_QUERY: usize = 6000;

/// The queries that order all of it, one after the other. A pin covers all of them.
pub(super) fn queries(order: &Order) -> Vec<Vec<(String, String)>> {
    let length = |(name, value): &(String, String)| {
        let encoded = url::form_urlencoded::byte_serialize(value.as_bytes());
        name.len() + 2 + encoded.map(str::len).sum::<usize>()
    };
    let always = always(order);
    let base: usize = always.iter().map(length).sum();
    let mut queries = Vec::new();
    let (mut query, mut taken) = (Vec::new(), base);
    for wanted in &order.wanted {
        let parameter = ("reference".to_owned(), wanted.to_string());
        if taken + length(&parameter) > MAX_QUERY && !query.is_empty() {
            queries.push(std::mem::take(&mut query));
            taken = base;
        }
        taken += length(&parameter);
        query.push(parameter);
    }
    queries.push(query);
    for (nth, query) in queries.iter_mut().enumerate() {
        query.extend(always.clone());
        let pins = order.pin.as_ref();
        if pins.is_some_and(|pin| pin.adds || nth > 0) {
            query.push(("pin_adds".to_owned(), "true".to_owned()));
        }
    }
    queries
}

fn always(order: &Order) -> Vec<(String, String)> {
    let platforms = order.platforms.iter();
    let mut always: Vec<_> = platforms
        .map(|it| ("platform".to_owned(), it.to_string()))
        .collect();
    if order.referrers {
        always.push(("referrers".to_owned(), "true".to_owned()));
    }
    if let Some(latest) = order.latest {
        always.push(("latest".to_owned(), latest.to_string()));
    }
    if let Some(pin) = &order.pin {
        always.push(("pin".to_owned(), pin.name.clone()));
    }
    always
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::mirror::warm::PinUnder;

    #[test]
    fn a_long_order_is_several_requests_of_which_the_later_ones_add_to_the_pin() {
        let name = "a".repeat(90);
        let wanted = (0..200).map(|nth| format!("ghcr.io/{name}:{nth}").parse().unwrap());
        let order = Order {
            wanted: wanted.collect(),
            platforms: vec!["linux/amd64".parse().unwrap()],
            referrers: true,
            latest: None,
            pin: Some(PinUnder {
                name: "site".to_owned(),
                adds: false,
            }),
        };
        let queries = queries(&order);
        assert!(queries.len() > 3);
        let mut references = 0;
        for (nth, query) in queries.iter().enumerate() {
            let values = |name: &str| query.iter().filter(|it| it.0 == name).count();
            references += values("reference");
            assert_eq!(
                (values("platform"), values("pin"), values("referrers")),
                (1, 1, 1)
            );
            assert_eq!(values("pin_adds"), usize::from(nth > 0));
            let mut encoded = url::form_urlencoded::Serializer::new(String::new());
            let length = encoded.extend_pairs(query).finish().len();
            assert!(length < MAX_QUERY + 50, "{length}");
        }
        assert_eq!(references, 200);
    }
}
