//! A map that holds so many octets and forgets what was not learned again for longest.

use std::hash::Hash;

use hashbrown::HashMap;

/// A map that an attacker may fill: hashed fast, with seeds that he does not know.
///
/// Two generations: what is learned goes into the young one; when that holds half the octets it becomes the old one, and
/// what the old one held is forgotten. A change costs two look-ups at most, whatever an attacker sends.
#[derive(Debug)]
pub struct Aging<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    young_octets: usize,
    /// Of both generations.
    max_octets: usize,
    forgotten: u64,
}

/// Octets that a value holds, itself included.
pub trait Weigh {
    fn octets(&self) -> usize;
}

impl<K: Eq + Hash, V: Default + Weigh> Aging<K, V> {
    pub fn new(max_octets: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            young_octets: 0,
            max_octets,
            forgotten: 0,
        }
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Changes the value of a key, which is the default where there was none, and makes it young.
    pub fn change<R>(&mut self, key: K, change: impl FnOnce(&mut V) -> R) -> R {
        let value = match self.young.remove(&key) {
            Some(value) => {
                self.young_octets = self.young_octets.saturating_sub(ENTRY + value.octets());
                Some(value)
            }
            None => self.old.remove(&key),
        };
        let mut value = value.unwrap_or_default();
        let result = change(&mut value);
        self.young_octets += ENTRY + value.octets();
        self.young.insert(key, value);
        if self.young_octets > self.max_octets / 2 {
            self.forgotten += self.old.len() as u64;
            self.old = std::mem::take(&mut self.young);
            self.young_octets = 0;
        }
        result
    }

    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Entries given up for others since the last call.
    pub fn take_forgotten(&mut self) -> u64 {
        std::mem::take(&mut self.forgotten)
    }
}

/// Octets of an entry beside its value: the key, and its share of a table that may be half empty.
const ENTRY: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    impl Weigh for Vec<u8> {
        fn octets(&self) -> usize {
            self.capacity()
        }
    }

    #[test]
    fn what_is_learned_again_stays_and_the_rest_goes() {
        let mut map = Aging::<u32, Vec<u8>>::new(100 * (ENTRY + 10));
        for key in 0..1_000 {
            map.change(key, |value| *value = vec![7; 10]);
            map.change(0, |value| assert!(!value.is_empty() || key == 0));
            assert!(map.len() <= 102, "{}", map.len());
        }
        assert!(map.get(&0).is_some() && map.get(&999).is_some());
        assert!(map.get(&1).is_none());
        assert_eq!(map.take_forgotten() + map.len() as u64, 1_000);
        assert_eq!(map.take_forgotten(), 0);
    }

    #[test]
    fn one_value_larger_than_all_is_held_alone() {
        let mut map = Aging::<u32, Vec<u8>>::new(1_000);
        for key in 0..10 {
            map.change(key, |value| *value = vec![0; 5_000]);
            assert_eq!(map.len(), 1);
        }
    }
}
