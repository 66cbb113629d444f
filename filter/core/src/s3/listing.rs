//! Sizes and ETags in listings: a stream of XML in, the same bytes out, with plaintext lengths in place of ciphertext
//! lengths, and ETags as clients see them; and likewise for the text of any other element.
//!
//! This is no XML parser that prints what it has read: namespaces, white space, the order of attributes and whatever a
//! store adds would change. It follows the markup just closely enough to know when the text of such an element passes
//! by. Everything else, and everything that is not well-formed, leaves as it came.

use super::etag;

/// An element: the local names of its parent and of itself.
pub type Element = (&'static str, &'static str);

/// ListObjects, ListObjectsV2 and ListObjectVersions.
pub const OBJECTS: &[Element] = &[("Contents", "Size"), ("Version", "Size")];
/// ListParts.
pub const PARTS: &[Element] = &[("Part", "Size")];
/// Every document with ETags in it.
const ETAGS: &[Element] = &[
    ("Contents", "ETag"),
    ("Version", "ETag"),
    ("Part", "ETag"),
    ("CompleteMultipartUploadResult", "ETag"),
    ("CopyObjectResult", "ETag"),
    ("GetObjectAttributesResponse", "ETag"),
    ("GetObjectAttributesOutput", "ETag"),
];

/// Longest element name that is followed; S3's longest has 27 bytes.
const MAX_NAME: usize = 128;
/// Deepest nesting that is followed; S3 nests 4 deep.
const MAX_DEPTH: usize = 32;
/// Longest content that may be a number: 20 digits, and white space around them.
const MAX_NUMBER: usize = 64;
/// Longest content of an element whose text is rewritten otherwise.
const MAX_TEXT: usize = 4_096;

/// Gives what to put in place of an element's content; None: leave it.
type Rewrite = Box<dyn FnMut(&str) -> Option<String>>;

/// Where the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// Directly behind the start tag of an element to rewrite, with the rule of that number. The bytes are held back until
    /// it is clear what they are.
    Content(usize),
    /// Behind the `<` that ends the bytes held back, which is held back as well.
    ContentOpen(usize),
    /// Behind a `<`.
    Open,
    /// Behind `<!`.
    Declaration,
    /// In a comment, CDATA section or processing instruction, which ends with `>` behind `marks` times `mark`.
    Ignored {
        mark: u8,
        marks: u8,
        seen: u8,
    },
    StartName,
    Attributes {
        quote: Option<u8>,
        slash: bool,
    },
    EndName,
    /// What comes is not understood: it passes unchanged to the end.
    Opaque,
}

/// What becomes of the text of some elements.
pub struct Rule {
    elements: &'static [Element],
    rewrite: Rewrite,
    /// Longer content is left as it is.
    max_content: usize,
}

impl Rule {
    /// `plain_len` gives the plaintext length for a size, or None to leave the size as it is: a foreign object's.
    pub fn sizes(elements: &'static [Element], plain_len: fn(u64) -> Option<u64>) -> Self {
        let rewrite = Box::new(move |content: &str| rewrite_size(content, plain_len));
        Self { elements, rewrite, max_content: MAX_NUMBER }
    }

    /// ETags become those that clients see, in whatever document.
    pub fn etags() -> Self {
        Self::text(ETAGS, |etag| Some(etag::shown(etag)))
    }

    /// `rewrite` gives new text for an element's, or None to leave it as it is. Neither has markup in it.
    pub fn text(elements: &'static [Element], rewrite: impl FnMut(&str) -> Option<String> + 'static) -> Self {
        Self { elements, rewrite: Box::new(rewrite), max_content: MAX_TEXT }
    }

    fn is_for(&self, parent: &[u8], name: &[u8]) -> bool {
        self.elements.iter().any(|(p, n)| p.as_bytes() == parent && n.as_bytes() == name)
    }
}

/// Rewrites the text of some elements in one body. Holds back less than 100 bytes of a size, less than 5,000 of
/// other text; its memory does not grow with the body.
///
/// The body must not be compressed: ask the store for `identity`.
pub struct TextRewriter {
    /// No two are for one element.
    rules: Vec<Rule>,
    state: State,
    /// Local names of the open elements.
    open: Vec<Vec<u8>>,
    /// The name being read, or the bytes behind `<!`.
    name: Vec<u8>,
    content: Vec<u8>,
}

impl TextRewriter {
    /// Rewrites by these rules, no two of which are for one element.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules, state: State::Text, open: Vec::new(), name: Vec::new(), content: Vec::new() }
    }

    /// Takes the next window of the body, of any length, and appends to `out` what may go on.
    pub fn push(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        loop {
            let plain = match self.state {
                State::Text => input.iter().position(|&byte| byte == b'<').unwrap_or(input.len()),
                State::Opaque => input.len(),
                _ => 0,
            };
            let (text, rest) = input.split_at_checked(plain).unwrap_or((input, &[]));
            out.extend_from_slice(text);
            let Some((&byte, rest)) = rest.split_first() else {
                return;
            };
            self.state = self.step(byte, out);
            input = rest;
        }
    }

    /// The body has ended: appends to `out` what was held back, unchanged.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.release(out);
        if matches!(self.state, State::ContentOpen(_)) {
            out.push(b'<');
        }
        self.state = State::Opaque;
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) -> State {
        match self.state {
            State::Content(rule) => return self.content_byte(byte, rule, out),
            State::ContentOpen(rule) => self.end_content(byte == b'/', rule, out),
            _ => {}
        }
        out.push(byte);
        match self.state {
            State::Text if byte == b'<' => State::Open,
            State::Open | State::ContentOpen(_) => self.open_byte(byte),
            State::Declaration => self.declaration_byte(byte),
            State::Ignored { mark, marks, seen } => match byte {
                b'>' if seen >= marks => State::Text,
                _ if byte == mark => State::Ignored { mark, marks, seen: seen.saturating_add(1) },
                _ => State::Ignored { mark, marks, seen: 0 },
            },
            State::StartName => self.start_name_byte(byte),
            State::Attributes { quote, slash } => self.attribute_byte(byte, quote, slash),
            State::EndName => self.end_name_byte(byte),
            State::Text | State::Content(_) | State::Opaque => self.state,
        }
    }

    /// Only text directly followed by an end tag counts; a comment or CDATA in between makes it something else.
    fn content_byte(&mut self, byte: u8, rule: usize, out: &mut Vec<u8>) -> State {
        if byte == b'<' {
            return State::ContentOpen(rule);
        }
        self.content.push(byte);
        if self.rules.get(rule).is_some_and(|rule| self.content.len() <= rule.max_content) {
            return State::Content(rule);
        }
        self.release(out);
        State::Text
    }

    fn end_content(&mut self, is_whole: bool, rule: usize, out: &mut Vec<u8>) {
        if let (true, Some(rule), Ok(text)) = (is_whole, self.rules.get_mut(rule), str::from_utf8(&self.content))
            && let Some(text) = (rule.rewrite)(text)
        {
            self.content = text.into_bytes();
        }
        self.release(out);
        out.push(b'<');
    }

    fn release(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.content);
    }

    fn open_byte(&mut self, byte: u8) -> State {
        self.name.clear();
        match byte {
            b'/' => State::EndName,
            b'!' => State::Declaration,
            b'?' => State::Ignored { mark: b'?', marks: 1, seen: 0 },
            _ => self.start_name_byte(byte),
        }
    }

    /// A DOCTYPE could declare entities, hence stand for anything; S3 sends none.
    fn declaration_byte(&mut self, byte: u8) -> State {
        self.name.push(byte);
        match self.name.as_slice() {
            b"--" => State::Ignored { mark: b'-', marks: 2, seen: 0 },
            b"[CDATA[" => State::Ignored { mark: b']', marks: 2, seen: 0 },
            start if b"--".starts_with(start) || b"[CDATA[".starts_with(start) => State::Declaration,
            _ => State::Opaque,
        }
    }

    fn start_name_byte(&mut self, byte: u8) -> State {
        match byte {
            b'>' | b'/' | b' ' | b'\t' | b'\r' | b'\n' => self.attribute_byte(byte, None, false),
            _ => self.name_byte(byte, State::StartName),
        }
    }

    fn attribute_byte(&mut self, byte: u8, quote: Option<u8>, slash: bool) -> State {
        match (byte, quote) {
            (_, Some(end)) if byte == end => State::Attributes { quote: None, slash: false },
            (_, Some(_)) => State::Attributes { quote, slash: false },
            (b'"' | b'\'', None) => State::Attributes { quote: Some(byte), slash: false },
            (b'>', None) if slash => State::Text,
            (b'>', None) => self.start_element(),
            (b'<', None) => State::Opaque,
            _ => State::Attributes { quote: None, slash: byte == b'/' },
        }
    }

    fn start_element(&mut self) -> State {
        if self.open.len() >= MAX_DEPTH || self.name.is_empty() {
            return State::Opaque;
        }
        let name = local(&self.name);
        let parent = self.open.last().map(Vec::as_slice).unwrap_or_default();
        let rule = self.rules.iter().position(|rule| rule.is_for(parent, name));
        self.open.push(name.to_vec());
        rule.map_or(State::Text, State::Content)
    }

    fn end_name_byte(&mut self, byte: u8) -> State {
        if byte != b'>' {
            return self.name_byte(byte, State::EndName);
        }
        match self.open.pop() {
            Some(name) if name == local(self.name.trim_ascii_end()) => State::Text,
            _ => State::Opaque,
        }
    }

    fn name_byte(&mut self, byte: u8, state: State) -> State {
        self.name.push(byte);
        if byte == b'<' || self.name.len() > MAX_NAME { State::Opaque } else { state }
    }
}

/// A name without its namespace prefix.
fn local(name: &[u8]) -> &[u8] {
    name.rsplit(|&byte| byte == b':').next().unwrap_or_default()
}

/// The content of a size element with the plaintext length in it, and the white space that it had. None: leave it.
fn rewrite_size(content: &str, plain_len: fn(u64) -> Option<u64>) -> Option<String> {
    let digits = content.trim_matches([' ', '\t', '\r', '\n']);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let plain = plain_len(digits.parse().ok()?)?;
    Some(content.replacen(digits, &plain.to_string(), 1))
}
