//! The little of XML that has to be understood, or written, as such.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Whether a document's root element has that local name.
pub fn has_root(document: &[u8], name: &str) -> bool {
    let Ok(text) = std::str::from_utf8(document) else { return false };
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag) | Event::Empty(tag)) => return tag.local_name().as_ref() == name.as_bytes(),
            Ok(Event::Text(space)) if space.trim_ascii().is_empty() => {}
            Ok(Event::Decl(_) | Event::Comment(_)) => {}
            _ => return false,
        }
    }
}

/// A document of S3's, with this root element and what is in it.
pub fn document(root: &str, content: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{content}</{root}>"
    )
}

/// XML character data: markup escaped, and what XML 1.0 cannot hold at all replaced.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(character),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_found_or_not() {
        for text in ["<a/>", "<?xml version=\"1.0\"?>\n<!-- x --><x:a b=\"c\"><d/></x:a>", "\n<a></a>"] {
            assert!(has_root(text.as_bytes(), "a"), "{text}");
        }
        for text in ["", "a", "<b><a/></b>", "x<a/>", "<", "<!DOCTYPE a><a/>"] {
            assert!(!has_root(text.as_bytes(), "a"), "{text}");
        }
        assert!(!has_root(b"\xff<a/>", "a"));
    }
}
