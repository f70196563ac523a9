//! Who gets a seat: so many connections at once, and so many of them from one client.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

use super::Refusal;

/// The bits of an IPv6 address that are one client's: it owns what is below them (RFC 6177, RFC 4941).
const CLIENT_BITS: u32 = 64;

/// The seats of one or more doors.
#[derive(Debug)]
pub struct Seats {
    most: usize,
    most_per_client: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// One connection's seat, free again when this is dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    client: Option<IpAddr>,
}

impl Seats {
    /// So many seats, and so many of them for one client's address.
    pub fn new(most: usize, most_per_client: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_per_client,
            taken: Mutex::default(),
        })
    }

    /// A seat for a connection from this address. Who has none (a socket in the file system) is counted among all
    /// only.
    pub fn take(self: &Arc<Self>, from: Option<IpAddr>) -> Result<Seat, Refusal> {
        let client = from.map(client);
        let mut taken = self.taken.lock();
        if taken.all >= self.most {
            return Err(Refusal::Crowded);
        }
        if let Some(client) = client {
            let own = taken.by_client.entry(client).or_default();
            // One who has no seat gets the first in any case, so no entry of 0 stays behind.
            if *own >= self.most_per_client.max(1) {
                return Err(Refusal::CrowdedByOne);
            }
            *own += 1;
        }
        taken.all += 1;
        drop(taken);
        Ok(Seat {
            seats: Arc::clone(self),
            client,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock();
        taken.all -= 1;
        if let Some(client) = self.client
            && let Some(own) = taken.by_client.get_mut(&client)
        {
            *own -= 1;
            if *own == 0 {
                taken.by_client.remove(&client);
            }
        }
    }
}

/// What of an address tells one client from another.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << (128 - CLIENT_BITS));
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_client_leaves_seats_for_others() {
        let seats = Seats::new(4, 2);
        let first = seats.take(Some(ip("10.0.0.1"))).unwrap();
        let _second = seats.take(Some(ip("::ffff:10.0.0.1"))).unwrap();
        assert_eq!(
            seats.take(Some(ip("10.0.0.1"))).unwrap_err(),
            Refusal::CrowdedByOne
        );
        let _other = seats.take(Some(ip("10.0.0.2"))).unwrap();
        let _unnamed = seats.take(None).unwrap();
        assert_eq!(
            seats.take(Some(ip("10.0.0.3"))).unwrap_err(),
            Refusal::Crowded
        );
        drop(first);
        seats.take(Some(ip("10.0.0.1"))).unwrap();
    }

    #[test]
    fn a_client_of_ipv6_is_a_network_of_64_bits() {
        let seats = Seats::new(9, 1);
        let _one = seats.take(Some(ip("2001:db8::1"))).unwrap();
        let again = seats.take(Some(ip("2001:db8::2:0:0:1")));
        assert_eq!(again.unwrap_err(), Refusal::CrowdedByOne);
        seats.take(Some(ip("2001:db8:0:1::1"))).unwrap();
    }

    #[test]
    fn a_seat_that_is_given_back_leaves_nothing_behind() {
        let seats = Seats::new(9, 1);
        for last in 0..9 {
            drop(seats.take(Some(IpAddr::from([10, 0, 0, last]))).unwrap());
        }
        let taken = seats.taken.lock();
        assert!(taken.all == 0 && taken.by_client.is_empty(), "{taken:?}");
    }
}
