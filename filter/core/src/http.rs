//! HTTP messages as the core sees them: heads, and edits to heads.

/// Header fields in the order they came. Names are lower-case, as Envoy gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

/// Why a header could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFieldError {
    /// It is there more than once.
    #[error("a header that may be given once is repeated")]
    Repeated,
    /// Its value is not UTF-8.
    #[error("a header's value is not valid UTF-8")]
    NotUtf8,
}

impl Headers {
    /// Takes the fields over.
    pub fn new(fields: Vec<(String, Vec<u8>)>) -> Self {
        Self(fields)
    }

    /// Every field in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// All values of a name.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_slice())
    }

    /// Whether the name is there.
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The one value of a name, as text.
    pub fn text(&self, name: &str) -> Result<Option<&str>, HeaderFieldError> {
        let mut values = self.all(name);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(HeaderFieldError::Repeated);
        }
        std::str::from_utf8(value).map(Some).map_err(|_| HeaderFieldError::NotUtf8)
    }

    /// All values of a name as the one list that they are (RFC 9110 section 5.3). None: there is none, or it is not UTF-8.
    pub fn list(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self.all(name).map(std::str::from_utf8).collect::<Result<_, _>>().ok()?;
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// Sets `name`, in place of all values it has.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(n, _)| n != name);
        self.0.push((name.to_owned(), value.as_bytes().to_vec()));
    }
}

impl<N: Into<String>, V: Into<Vec<u8>>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// A request's head.
#[derive(Debug, Clone)]
pub struct RequestHead {
    /// `:method`.
    pub method: String,
    /// `:path`, with the query, as sent.
    pub path: String,
    /// `:authority`.
    pub authority: String,
    /// All other fields.
    pub headers: Headers,
    /// Whether no body follows.
    pub is_end: bool,
}

/// A response's head.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    /// `:status`.
    pub status: u16,
    /// All other fields.
    pub headers: Headers,
    /// Whether no body follows.
    pub is_end: bool,
}

/// What is to be changed in a head before it goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadEdits {
    /// Names to remove, all their values.
    pub remove: Vec<String>,
    /// Names to set, in place of all values they have.
    pub set: Vec<(String, String)>,
}

impl HeadEdits {
    /// Also removes `name`.
    pub fn remove(&mut self, name: impl Into<String>) {
        self.remove.push(name.into());
    }

    /// Also removes those of `headers` that are unwanted.
    pub fn remove_where(&mut self, headers: &Headers, is_unwanted: impl Fn(&str) -> bool) {
        headers.iter().filter(|(name, _)| is_unwanted(name)).for_each(|(name, _)| self.remove(name));
    }

    /// Whether something is to be done about `name`.
    pub fn has(&self, name: &str) -> bool {
        self.remove.iter().chain(self.set.iter().map(|(n, _)| n)).any(|n| n == name)
    }

    /// Also sets `name`. What was to be done about it before is forgotten.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.remove.retain(|n| *n != name);
        self.set.retain(|(n, _)| *n != name);
        self.set.push((name, value.into()));
    }
}

/// Parses a Content-Length, or any other count of bytes: decimal digits and nothing else (RFC 9110 section 8.6).
pub fn parse_length(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_or_an_error() {
        let headers: Headers = [("a", "1"), ("b", "2"), ("b", "3")].into_iter().collect();
        assert_eq!(headers.text("a"), Ok(Some("1")));
        assert_eq!(headers.text("b"), Err(HeaderFieldError::Repeated));
        assert_eq!(headers.text("c"), Ok(None));
        assert_eq!(["a", "b", "c"].map(|name| headers.list(name)), [Some("1".into()), Some("2, 3".into()), None]);
        let headers: Headers = [("a", vec![0xff])].into_iter().collect();
        assert_eq!(headers.text("a"), Err(HeaderFieldError::NotUtf8));
        assert_eq!(headers.list("a"), None);
    }

    #[test]
    fn a_length_is_digits() {
        for (text, length) in [("0", Some(0)), ("007", Some(7)), ("", None), ("+1", None), ("-1", None), (" 1", None)] {
            assert_eq!(parse_length(text), length, "{text:?}");
        }
        assert_eq!(parse_length("18446744073709551616"), None);
    }
}
