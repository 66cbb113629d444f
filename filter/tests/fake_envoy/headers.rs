//! Header maps with Envoy's rules, and their form on the ABI.

use std::fmt;

/// Fields in order. Names are lower-case, values are bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    pub fn of(fields: &[(&str, &str)]) -> Self {
        fields.iter().map(|(name, value)| (*name, *value)).collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// The first value of a name, which the test knows to be text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(|value| std::str::from_utf8(value).unwrap())
    }

    pub fn count(&self, name: &str) -> usize {
        self.iter().filter(|(n, _)| *n == name).count()
    }

    pub fn add(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.0.push((name.to_ascii_lowercase(), value.into()));
    }

    /// As Envoy's `HeaderMap::setCopy`: of several values only the first is replaced.
    pub fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        match self.0.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
            Some(field) => field.1 = value.into(),
            None => self.add(name, value),
        }
    }

    /// Removes all values of a name.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// `count ‖ (name length ‖ value length)… ‖ (name ‖ 0 ‖ value ‖ 0)…`, little-endian u32. Envoy gives an empty map as
    /// no bytes at all.
    pub fn to_abi(&self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let mut out = u32::try_from(self.0.len()).unwrap().to_le_bytes().to_vec();
        for (name, value) in self.iter() {
            out.extend(length(name.as_bytes()));
            out.extend(length(value));
        }
        for (name, value) in self.iter() {
            out.extend(name.as_bytes());
            out.push(0);
            out.extend(value);
            out.push(0);
        }
        out
    }

    /// Reads what [`Headers::to_abi`] writes, from the SDK.
    pub fn from_abi(bytes: &[u8]) -> Self {
        let number = |at: usize| {
            let field: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
            u32::from_le_bytes(field) as usize
        };
        let count = if bytes.is_empty() { 0 } else { number(0) };
        let mut at = 4 + 8 * count;
        let mut take = |length: usize| {
            let field = &bytes[at..at + length];
            at += length + 1;
            field.to_vec()
        };
        let field = |i: usize| {
            let name = String::from_utf8(take(number(4 + 8 * i))).unwrap();
            (name, take(number(8 + 8 * i)))
        };
        (0..count).map(field).collect()
    }
}

impl<N: AsRef<str>, V: Into<Vec<u8>>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut headers = Self::default();
        fields.into_iter().for_each(|(name, value)| headers.add(name.as_ref(), value));
        headers
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)))).finish()
    }
}
