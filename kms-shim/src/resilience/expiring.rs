//! A bounded map whose entries expire.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use tokio::time::Instant;

use super::CacheSettings;

/// Entries that all live equally long, so that the order in which they came is the order in which they go. What has
/// expired goes when the map is next used.
pub(super) struct Expiring<K, V> {
    settings: CacheSettings,
    entries: HashMap<K, V>,
    order: VecDeque<(Instant, K)>,
}

impl<K: Copy + Eq + Hash, V> Expiring<K, V> {
    pub(super) fn new(settings: CacheSettings) -> Self {
        Self { settings, entries: HashMap::new(), order: VecDeque::new() }
    }

    pub(super) fn entry(&mut self, key: &K) -> Option<&V> {
        self.drop_expired();
        self.entries.get(key)
    }

    /// Takes an entry, for which the oldest one goes if there is no room. One that is there stays as it is.
    pub(super) fn insert(&mut self, key: K, value: V) {
        self.drop_expired();
        if self.settings.entries == 0 || self.entries.contains_key(&key) {
            return;
        }
        if self.entries.len() >= self.settings.entries {
            self.drop_oldest();
        }
        self.entries.insert(key, value);
        self.order.push_back((Instant::now() + self.settings.ttl, key));
    }

    fn drop_expired(&mut self) {
        let now = Instant::now();
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn entries(map: &mut Expiring<i32, &'static str>) -> [Option<&'static str>; 3] {
        [1, 2, 3].map(|key| map.entry(&key).copied())
    }

    #[tokio::test(start_paused = true)]
    async fn entries_go_in_time_or_for_newer_ones() {
        let mut map = Expiring::new(CacheSettings { entries: 2, ttl: Duration::from_secs(10) });
        map.insert(1, "one");
        tokio::time::advance(Duration::from_secs(5)).await;
        map.insert(2, "two");
        map.insert(1, "uno");
        assert_eq!(entries(&mut map), [Some("one"), Some("two"), None]);
        map.insert(3, "three");
        assert_eq!(entries(&mut map), [None, Some("two"), Some("three")]);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(map.entry(&2), None);
        assert!(map.entries.is_empty() && map.order.is_empty(), "what has expired is gone, not hidden");

        let mut none = Expiring::new(CacheSettings { entries: 0, ttl: Duration::from_secs(10) });
        none.insert(1, "one");
        assert_eq!(none.entry(&1), None);
    }
}
