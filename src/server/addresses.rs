//! Counts connections by client address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Prefix that identifies an IPv6 client: one host can use every address of its /64.
const OWN_BITS: u32 = 64;

/// Open connections by client.
#[derive(Debug)]
pub struct Addresses {
    most: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl Addresses {
    /// Creates a counter that allows `most` connections for each client.
    pub fn new(most: usize) -> Arc<Addresses> {
        Arc::new(Addresses {
            most,
            open: Mutex::default(),
        })
    }

    /// Returns a seat for one more connection, which frees it when dropped. Returns `None` if the client has too many.
    pub fn seat(self: &Arc<Addresses>, address: IpAddr) -> Option<Seat> {
        let address = who(address);
        let mut open = self.lock();
        let count = open.entry(address).or_insert(0);
        // A refused client has other seats, so its entry stays until those are freed.
        (*count < self.most).then(|| {
            *count += 1;
            Seat {
                addresses: Arc::clone(self),
                address,
            }
        })
    }

    /// Reports whether the client has no seat left.
    pub fn is_full(&self, address: IpAddr) -> bool {
        self.lock().get(&who(address)).copied().unwrap_or(0) >= self.most
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the address that identifies a client: the IPv4 address, or the /64 of an IPv6 address.
pub fn who(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = address.to_bits() >> (u128::BITS - OWN_BITS) << (u128::BITS - OWN_BITS);
            Ipv6Addr::from_bits(bits).into()
        }
        address => address,
    }
}

/// One connection of a client.
#[derive(Debug)]
pub struct Seat {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.addresses.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_seats() {
        let addresses = Addresses::new(2);
        let seat = |text: &str| addresses.seat(text.parse().unwrap());
        let open = [seat("10.0.0.1").unwrap(), seat("::ffff:10.0.0.1").unwrap()];
        assert!(seat("10.0.0.1").is_none());
        let others = [
            seat("10.0.0.2").unwrap(),
            seat("2001:db8::1").unwrap(),
            seat("2001:db8::2:0:0:1").unwrap(),
        ];
        assert!(seat("2001:db8::ffff").is_none());
        let next = seat("2001:db8:0:1::1").unwrap();
        drop((open, others, next));
        assert!(addresses.lock().is_empty());
    }
}
