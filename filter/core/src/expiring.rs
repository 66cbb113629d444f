//! A map that forgets: bounded in number and in the age of its entries.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;

/// The least recently used entry goes first, and every entry goes after its time to live.
pub struct Expiring<K: Hash + Eq, V> {
    entries: LruCache<K, Entry<V>>,
    time_to_live: Duration,
}

struct Entry<V> {
    value: V,
    expires: Duration,
}

impl<K: Hash + Eq, V> Expiring<K, V> {
    /// Holds up to `max_entries` for `time_to_live` each.
    pub fn new(max_entries: NonZeroUsize, time_to_live: Duration) -> Self {
        Self { entries: LruCache::new(max_entries), time_to_live }
    }

    /// The value, if it is there and not expired at `now`.
    pub fn get(&mut self, id: &K, now: Duration) -> Option<&V> {
        if self.entries.peek(id)?.expires <= now {
            self.entries.pop(id);
        }
        self.entries.get(id).map(|entry| &entry.value)
    }

    /// Keeps the value from `now` on, in place of what was there.
    pub fn put(&mut self, id: K, value: V, now: Duration) {
        let expires = now.saturating_add(self.time_to_live);
        self.entries.put(id, Entry { value, expires });
    }

    /// Forgets the value.
    pub fn remove(&mut self, id: &K) {
        self.entries.pop(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(ids: &[u8]) -> Expiring<u8, u8> {
        let mut map = Expiring::new(NonZeroUsize::new(2).unwrap(), Duration::from_secs(10));
        ids.iter().for_each(|id| map.put(*id, *id, Duration::from_secs(100)));
        map
    }

    fn has(map: &mut Expiring<u8, u8>, id: u8, seconds: u64) -> bool {
        map.get(&id, Duration::from_secs(seconds)).is_some()
    }

    #[test]
    fn an_entry_expires() {
        let mut map = with(&[1]);
        assert!(has(&mut map, 1, 100) && has(&mut map, 1, 109));
        assert!(!has(&mut map, 1, 110));
        assert_eq!(map.entries.len(), 0);
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut map = with(&[1, 2]);
        assert!(has(&mut map, 1, 100));
        map.put(3, 3, Duration::from_secs(100));
        assert!(has(&mut map, 1, 100) && has(&mut map, 3, 100) && !has(&mut map, 2, 100));
    }

    #[test]
    fn what_is_removed_is_gone() {
        let mut map = with(&[1]);
        map.remove(&1);
        assert!(!has(&mut map, 1, 100));
    }
}
