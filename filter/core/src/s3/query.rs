//! A request's query: reading it, and changing parts of it without touching the rest.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error::RequestError;

/// All but the unreserved characters of RFC 3986, as AWS's `UriEncode` has it.
pub const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same for the path of an object, whose slashes stay.
pub const OBJECT_PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// What RFC 3986 does not allow in a query's value, and what separates parameters.
const RESERVED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'/')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'\\')
    .add(b'^')
    .add(b'[')
    .add(b']');

/// Decoded parameters, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what stands behind a path's `?`.
    pub fn parse(query: &str) -> Result<Self, RequestError> {
        let decoded = |parameter: &str| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            Ok((decode(name)?, decode(value)?))
        };
        query.split('&').filter(|parameter| !parameter.is_empty()).map(decoded).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a parameter is there.
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Whether any of the parameters is there.
    pub fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.has(name))
    }

    /// Whether there is a parameter that `is_known` does not know.
    pub fn has_other_than(&self, is_known: impl Fn(&str) -> bool) -> bool {
        self.0.iter().any(|(name, _)| !is_known(name))
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A parameter's value. Of a repeated one, the first, as the stores do.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Decodes percent-escapes strictly. A `+` is a plus: S3 does not read queries as HTML forms do.
pub fn decode(text: &str) -> Result<String, RequestError> {
    let is_escape = |rest: &str| rest.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    if !text.split('%').skip(1).all(is_escape) {
        return Err(RequestError::InvalidUri("a percent sign is not followed by two hexadecimal digits"));
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| RequestError::InvalidUri("it is not UTF-8"))?;
    Ok(decoded.into_owned())
}

/// The path without the parameters that `is_kept` does not want, everything else byte for byte as it was.
pub fn retain(path: &str, is_kept: impl Fn(&str) -> bool) -> String {
    edit(path, |name, parameter| is_kept(name).then(|| parameter.to_owned()))
}

/// The path with another value for the parameter `name`, everything else byte for byte as it was.
pub fn replace(path: &str, name: &str, value: &str) -> String {
    map(path, name, |_| value.to_owned())
}

/// The path with the value that `change` makes of the parameter `name`'s, everything else byte for byte as it was.
pub fn map(path: &str, name: &str, change: impl Fn(&str) -> String) -> String {
    edit(path, |n, parameter| {
        let value = parameter.split_once('=').map(|(_, value)| decode(value).unwrap_or_default()).unwrap_or_default();
        match n == name {
            true => Some(format!("{n}={}", utf8_percent_encode(&change(&value), RESERVED))),
            false => Some(parameter.to_owned()),
        }
    })
}

/// Shows each parameter's name and the parameter as it stands; gives what to put in its place.
fn edit(path: &str, change: impl Fn(&str, &str) -> Option<String>) -> String {
    let Some((path, query)) = path.split_once('?') else { return path.to_owned() };
    let name = |parameter: &str| decode(parameter.split_once('=').map_or(parameter, |(name, _)| name));
    let changed: Vec<_> =
        query.split('&').filter_map(|parameter| change(&name(parameter).unwrap_or_default(), parameter)).collect();
    match changed.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", changed.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_replaced_and_the_rest_stays() {
        let cases = [
            ("/b/k?partNumber=1&uploadId=a.b&x-id=UploadPart", "/b/k?partNumber=1&uploadId=u%2F+1&x-id=UploadPart"),
            ("/b/k?%75ploadId=a", "/b/k?uploadId=u%2F+1"),
            ("/b/k?x=%2f&&uploads", "/b/k?x=%2f&&uploads"),
            ("/b/k", "/b/k"),
        ];
        for (path, expected) in cases {
            assert_eq!(replace(path, "uploadId", "u/+1"), expected.replace('+', "%2B"));
        }
    }

    #[test]
    fn names_and_values_are_decoded() {
        let query = Query::parse("uploadId=a%2Fb+c&acl&uploadId=2").unwrap();
        assert_eq!(query.value("uploadId"), Some("a/b+c"));
        assert_eq!(query.value("acl"), Some(""));
        assert!(!query.has("tagging"));
        assert!(Query::parse("a=%").is_err() && Query::parse("%ff").is_err());
    }
}
