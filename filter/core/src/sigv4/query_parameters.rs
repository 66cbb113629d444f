//! A request's query as its signature covers it.

use percent_encoding::utf8_percent_encode;

use super::AuthError;
use crate::s3::query::{Query, UNRESERVED};

/// What signs a presigned URL, and so cannot sign itself.
const SIGNATURE: &str = "X-Amz-Signature";

/// Decoded names and values, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryParameters(Query);

/// A parameter that may be given once is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated;

impl QueryParameters {
    /// Reads what stands behind a path's `?`. A `+` is a space here: so S3 reads it, and the AWS SDK for Java 1 sends it.
    pub fn parse(query: &str) -> Result<Self, AuthError> {
        Query::parse(&query.replace('+', " ")).map(Self).map_err(|_| AuthError::InvalidUri)
    }

    /// Whether the parameter is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.has(name)
    }

    /// The parameter's one value.
    pub fn value(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut values = self.0.iter().filter(|(n, _)| *n == name).map(|(_, value)| value);
        let value = values.next();
        values.next().map_or(Ok(value), |_| Err(Repeated))
    }

    /// The canonical query string: encoded names and values, sorted by both.
    pub(super) fn to_canonical(&self) -> String {
        let encode = |text| utf8_percent_encode(text, UNRESERVED).to_string();
        let signed = self.0.iter().filter(|(name, _)| *name != SIGNATURE);
        let mut encoded: Vec<_> = signed.map(|(name, value)| (encode(name), encode(value))).collect();
        encoded.sort();
        encoded.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_query_strings() {
        let cases = [
            ("", ""),
            ("&&", ""),
            ("lifecycle", "lifecycle="),
            ("max-keys=2&prefix=J", "max-keys=2&prefix=J"),
            ("prefix=J&max-keys=2", "max-keys=2&prefix=J"),
            ("a=2&a=1&a", "a=&a=1&a=2"),
            ("a=1&&b=2&", "a=1&b=2"),
            ("=1&==2", "=%3D2&=1"),
            ("a==", "a=%3D"),
            ("B=1&a=2&A=3&_=4&~=5", "A=3&B=1&_=4&a=2&~=5"),
            // Sorted as encoded, so that `%` comes before letters.
            ("z=1&%C3%BC=2&ü=1&a=1", "%C3%BC=1&%C3%BC=2&a=1&z=1"),
            ("a%2fb=%e2%82%ac&a-b=1", "a%2Fb=%E2%82%AC&a-b=1"),
            ("a=x+y&b=x%20y&c=x%2By", "a=x%20y&b=x%20y&c=x%2By"),
            ("a=%7e%41-._~!*'()/:", "a=~A-._~%21%2A%27%28%29%2F%3A"),
            ("X-Amz-Signature=0&a=1&X-Amz-Signature=2&x-amz-signature=3", "a=1&x-amz-signature=3"),
        ];
        for (query, canonical) in cases {
            assert_eq!(QueryParameters::parse(query).unwrap().to_canonical(), canonical, "{query}");
        }
        for query in ["%", "a=%", "a=%4", "a=%zz", "%ff=1", "a=%c3%28"] {
            assert_eq!(QueryParameters::parse(query), Err(AuthError::InvalidUri), "{query}");
        }
    }

    #[test]
    fn one_value_or_an_error() {
        let parameters = QueryParameters::parse("a=1&b&b=2&%61%62=3").unwrap();
        assert_eq!(parameters.value("a"), Ok(Some("1")));
        assert_eq!(parameters.value("b"), Err(Repeated));
        assert_eq!(parameters.value("c"), Ok(None));
        assert_eq!(parameters.value("ab"), Ok(Some("3")));
    }
}
