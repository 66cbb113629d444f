//! ETags as clients see them.
//!
//! The store's ETag of what one PUT wrote is the MD5 of the ciphertext, and a client that knows no better compares it with
//! the MD5 of its plaintext. So clients see `-01` behind it: the form of a multipart upload's ETag, a hash and a count
//! of parts, which they know to be no MD5 (Amazon S3 API Reference, "Object"). No store writes a count with a zero
//! in front, and so the ETag alone tells what the store's is.

const MARK: &str = "-01";
const MD5_DIGITS: usize = 32;
/// How headers and documents write a quotation mark.
const QUOTES: [&str; 3] = ["\"", "&quot;", "&#34;"];

/// The store's ETags as the client sees them: a header's value, or the text of an element. All but MD5s stays.
pub fn shown(etags: &str) -> String {
    each(etags, |opaque| is_md5(opaque).then(|| format!("{opaque}{MARK}")))
}

/// The client's ETags as the store knows them: a header's value, a list as well, or the text of an element.
pub fn stored(etags: &str) -> String {
    each(etags, |opaque| opaque.strip_suffix(MARK).filter(|hash| is_md5(hash)).map(str::to_owned))
}

fn is_md5(opaque: &str) -> bool {
    opaque.len() == MD5_DIGITS && opaque.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Rewrites every ETag in a list. A comma in quotes belongs to an ETag (RFC 9110 section 8.8.3).
fn each(etags: &str, rewrite: impl Fn(&str) -> Option<String>) -> String {
    let mut is_quoted = false;
    let is_separator = |character| {
        is_quoted ^= character == '"';
        character == ',' && !is_quoted
    };
    let rewritten: Vec<_> = etags.split(is_separator).map(|etag| one(etag, &rewrite)).collect();
    rewritten.join(",")
}

/// Rewrites what an ETag has within white space, the mark of a weak one, and quotes.
fn one(etag: &str, rewrite: impl Fn(&str) -> Option<String>) -> String {
    let strong = etag.trim_ascii();
    let strong = strong.strip_prefix("W/").unwrap_or(strong);
    let within = |quote: &&str| strong.strip_prefix(*quote)?.strip_suffix(*quote);
    let opaque = QUOTES.iter().find_map(within).unwrap_or(strong);
    rewrite(opaque).map_or_else(|| etag.to_owned(), |new| etag.replacen(opaque, &new, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";
    const UPPER: &str = "D41D8CD98F00B204E9800998ECF8427E";

    #[test]
    fn md5s_are_marked_in_every_form() {
        let cases = [
            "@",
            "\"@\"",
            "W/\"@\"",
            "W/@",
            "&quot;@&quot;",
            "&#34;@&#34;",
            " \"@\" ",
            "\n\t&quot;@&quot;\n",
            "\"@\", W/\"@\",\t\"other\" , @,\"a,b\",\"@\"",
            "*, \"@\"",
        ];
        for (case, md5) in cases.iter().flat_map(|case| [(case, MD5), (case, UPPER)]) {
            let (store, client) = (case.replace('@', md5), case.replace('@', &format!("{md5}-01")));
            assert_eq!((&shown(&store), &stored(&client)), (&client, &store), "{case}");
            // What a client has from elsewhere, as the store says it, is good as well.
            assert_eq!((&shown(&client), &stored(&store)), (&client, &store), "{case}");
        }
    }

    #[test]
    fn nothing_else_changes() {
        let cases = [
            "",
            "*",
            "\"\"",
            "\"",
            ",",
            "\"@-1\"",
            "\"@-02\"",
            "\"@-001\"",
            "\"@-10000\"",
            "\"@0\"",
            "\"@@\"",
            "\"a@\"",
            "\"@-\"",
            "\"@-1-01\"",
            "\"x@-01\"",
            "\"@-01x\"",
            "\"a,@-01,b\"",
            "\"a,@,b\"",
            "\"@ \"",
            "\"@;@-01\"",
            "w/\"@\"",
            "\"W/@\"",
            "'@'",
            "\"@",
            "@\"",
            "\"@-01",
            "&quot;@\"",
            "\"\"@\"\"",
            "&amp;@",
            "@ @",
            "Thu, 01 Jan 2026 00:00:00 GMT",
            "d41d8cd98f00b204e9800998ecf8427",
            "d41d8cd98f00b204e9800998ecf8427g",
            "d41d8cd98f00b204e9800998ecf842-01",
        ];
        for case in cases.map(|case| case.replace('@', MD5)) {
            assert_eq!((shown(&case), stored(&case)), (case.clone(), case.clone()));
        }
    }

    fn etag() -> impl Strategy<Value = String> {
        let opaque = prop_oneof!["[0-9a-f]{32}", "[0-9a-fA-F]{32}", "[0-9a-f]{32}-[1-9][0-9]{0,4}", "[!#-~]{0,40}"];
        let quote = prop::sample::select(vec!["\"", "&quot;", "&#34;", ""]);
        (prop::sample::select(vec!["", "W/"]), quote, opaque, "[ \t]{0,2}")
            .prop_map(|(weak, quote, opaque, space)| format!("{space}{weak}{quote}{opaque}{quote}{space}"))
    }

    proptest! {
        #[test]
        fn the_store_gets_back_what_it_said(etags in prop::collection::vec(etag(), 0..5)) {
            let etags = etags.join(",");
            prop_assert_eq!(stored(&shown(&etags)), etags);
        }

        #[test]
        fn no_md5_shows_and_the_mark_is_all_that_changes(etag in etag(), soup in "\\PC{0,80}") {
            for text in [etag, soup] {
                let shown = shown(&text);
                prop_assert!(!is_md5(shown.trim_ascii().trim_start_matches("W/").trim_matches('"')), "{}", shown);
                prop_assert_eq!(shown.replace(MARK, ""), text.replace(MARK, ""));
                prop_assert_eq!(stored(&text).replace(MARK, ""), text.replace(MARK, ""));
            }
        }
    }
}
