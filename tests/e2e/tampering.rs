//! What the store can do to an object, and what a client then gets: an S3 error before the first byte, or a broken
//! transfer after an authentic prefix. Never a clean success, and never a wrong byte.

use e2e::at_rest::{AtRest, HEADER, OUR_METADATA, OVERHEAD, Refusal, SEGMENT, refusal};
use e2e::plaintext::random;
use e2e::stack::Stack;

on_every_stack!(altered_bodies, altered_metadata, objects_under_other_names);

/// A full segment at rest.
const SEALED_SEGMENT: usize = SEGMENT + OVERHEAD;

/// An alteration: its name, and what it does to an object, given another one of the same length.
type Alteration = (&'static str, fn(&mut AtRest, &AtRest));

/// Two objects of two and a half segments, at rest.
struct Victims {
    plaintext: Vec<u8>,
    object: AtRest,
    other: AtRest,
}

impl Victims {
    fn new(stack: &Stack, object_key: &str) -> Self {
        let plaintext = random(2 * SEGMENT + SEGMENT / 2, 1);
        let other_key = format!("{object_key}-other");
        stack.client.put(object_key, &plaintext).unwrap();
        stack.client.put(&other_key, &random(plaintext.len(), 2)).unwrap();
        let [object, other] = [object_key, &other_key].map(|key| AtRest::read(&stack.direct, key).unwrap());
        Self { plaintext, object, other }
    }

    /// Checks that each alteration is refused, and that without one the object reads well.
    fn check(&self, stack: &Stack, object_key: &str, alterations: &[Alteration], verdict: fn(&Refusal) -> bool) {
        for (name, alter) in alterations {
            let mut altered = self.object.clone();
            alter(&mut altered, &self.other);
            altered.write(&stack.direct, object_key).unwrap();
            let answer = stack.client.object("GET", object_key).send(&[]).unwrap();
            let refused = refusal(&answer, &self.plaintext).unwrap_or_else(|error| panic!("{name}: {error:#}"));
            assert!(verdict(&refused), "{name}: {refused:?}");
        }
        self.object.write(&stack.direct, object_key).unwrap();
        assert!(stack.client.get(object_key).unwrap().body == self.plaintext);
    }
}

fn is_error(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Error { status: 502, code } if code == "InternalError")
}

/// The offset of a segment, and of something in it.
const fn at(segment: usize, offset: usize) -> usize {
    segment * SEALED_SEGMENT + offset
}

fn flip(object: &mut AtRest, offset: usize) {
    object.body[offset] ^= 1;
}

fn altered_bodies(stack: &Stack) {
    const OBJECT_KEY: &str = "tampering/body";
    let victims = Victims::new(stack, OBJECT_KEY);
    // Where the damage lies decides how much may have come through before it.
    let in_first: &[Alteration] = &[
        ("magic", |object, _| flip(object, 0)),
        ("version", |object, _| flip(object, 4)),
        ("flags", |object, _| flip(object, 5)),
        ("part", |object, _| flip(object, 7)),
        ("index", |object, _| flip(object, 11)),
        ("length", |object, _| flip(object, 15)),
        ("nonce", |object, _| flip(object, 16)),
        ("reserved", |object, _| flip(object, 31)),
        ("first byte of ciphertext", |object, _| flip(object, HEADER)),
        ("middle of ciphertext", |object, _| flip(object, HEADER + SEGMENT / 2)),
        ("last byte of the tag", |object, _| flip(object, SEALED_SEGMENT - 1)),
        ("segments 0 and 1 swapped", |object, _| {
            let (first, rest) = object.body.split_at_mut(SEALED_SEGMENT);
            first.swap_with_slice(&mut rest[..SEALED_SEGMENT]);
        }),
        ("another object's body", |object, other| object.body.clone_from(&other.body)),
    ];
    victims
        .check(stack, OBJECT_KEY, in_first, |refusal| is_error(refusal) || *refusal == Refusal::Broken { released: 0 });
    let in_second: &[Alteration] = &[
        ("second header", |object, _| flip(object, at(1, 11))),
        ("second ciphertext", |object, _| flip(object, at(1, HEADER + 5))),
        ("second tag", |object, _| flip(object, at(2, 0) - 16)),
        ("another object's segment 1", |object, other| {
            object.body[at(1, 0)..at(2, 0)].copy_from_slice(&other.body[at(1, 0)..at(2, 0)]);
        }),
        ("segment 0 twice", |object, _| object.body.copy_within(..SEALED_SEGMENT, at(1, 0))),
    ];
    victims.check(stack, OBJECT_KEY, in_second, |refusal| released_at_most(refusal, SEGMENT));
    let in_last: &[Alteration] = &[
        ("last header", |object, _| flip(object, at(2, 5))),
        ("last ciphertext", |object, _| flip(object, at(2, HEADER + 5))),
        ("last byte", |object, _| *object.body.last_mut().unwrap() ^= 0x80),
    ];
    victims.check(stack, OBJECT_KEY, in_last, |refusal| released_at_most(refusal, 2 * SEGMENT));
    // The length that the store states says it already.
    let other_lengths: &[Alteration] = &[
        ("one byte less", |object, _| object.body.truncate(object.body.len() - 1)),
        ("nothing left", |object, _| object.body.clear()),
        ("half a header left", |object, _| object.body.truncate(10)),
        ("only a first segment left", |object, _| object.body.truncate(at(1, 0))),
        ("last segment dropped", |object, _| object.body.truncate(at(2, 0))),
        ("first segment dropped", |object, _| drop(object.body.drain(..SEALED_SEGMENT))),
        ("one byte more", |object, _| object.body.push(0)),
        ("its last segment twice", |object, _| object.body.extend_from_within(at(2, 0)..)),
        ("another object's last segment behind it", |object, other| {
            object.body.extend_from_slice(&other.body[at(2, 0)..]);
        }),
    ];
    victims.check(stack, OBJECT_KEY, other_lengths, is_error);
}

fn released_at_most(refusal: &Refusal, limit: usize) -> bool {
    is_error(refusal) || matches!(refusal, Refusal::Broken { released } if *released <= limit)
}

fn altered_metadata(stack: &Stack) {
    const OBJECT_KEY: &str = "tampering/metadata";
    let victims = Victims::new(stack, OBJECT_KEY);
    let alterations: &[Alteration] = &[
        ("alg altered", |object, _| alter(object, "alg")),
        ("dek altered", |object, _| alter(object, "dek")),
        ("kek altered", |object, _| alter(object, "kek")),
        ("len altered", |object, _| alter(object, "len")),
        ("mac altered", |object, _| alter(object, "mac")),
        ("alg dropped", |object, _| remove(object, "alg")),
        ("dek dropped", |object, _| remove(object, "dek")),
        ("kek dropped", |object, _| remove(object, "kek")),
        ("len dropped", |object, _| remove(object, "len")),
        ("mac dropped", |object, _| remove(object, "mac")),
        ("dek of another object", |object, other| set(object, "dek", other.ours("dek").unwrap())),
        ("mac of another object", |object, other| set(object, "mac", other.ours("mac").unwrap())),
        ("unknown metadata", |object, _| set(object, "new", "1")),
        ("len and body cut at a segment", |object, _| {
            set(object, "len", &(2 * SEGMENT).to_string());
            object.body.truncate(at(2, 0));
        }),
        ("len 0 and no body", |object, _| {
            set(object, "len", "0");
            object.body.clear();
        }),
    ];
    victims.check(stack, OBJECT_KEY, alterations, is_error);
    // The head cannot tell any more that this was ours, but its first bytes do.
    let all_dropped: &[Alteration] =
        &[("all dropped", |object, _| object.metadata.retain(|(name, _)| !name.starts_with(OUR_METADATA)))];
    victims.check(stack, OBJECT_KEY, all_dropped, |refusal| released_at_most(refusal, 0));
    for (name, alter) in alterations {
        let mut altered = victims.object.clone();
        alter(&mut altered, &victims.other);
        altered.write(&stack.direct, OBJECT_KEY).unwrap();
        let head = stack.client.object("HEAD", OBJECT_KEY).send(&[]).unwrap();
        assert_eq!(head.status, 502, "HEAD with {name}");
    }
}

/// Changes a value's first character into another one that fits there.
fn alter(object: &mut AtRest, name: &str) {
    let value = object.ours(name).unwrap();
    let first = if value.starts_with('2') { '3' } else { '2' };
    let altered = format!("{first}{}", &value[1..]);
    set(object, name, &altered);
}

fn set(object: &mut AtRest, name: &str, value: &str) {
    remove(object, name);
    object.metadata.push((format!("{OUR_METADATA}{name}"), value.to_owned()));
}

fn remove(object: &mut AtRest, name: &str) {
    let name = format!("{OUR_METADATA}{name}");
    object.metadata.retain(|(candidate, _)| *candidate != name);
}

fn objects_under_other_names(stack: &Stack) {
    const OBJECT_KEY: &str = "tampering/name";
    let victims = Victims::new(stack, OBJECT_KEY);
    let moved: &[Alteration] = &[("another whole object", |object, other| object.clone_from(other))];
    victims.check(stack, OBJECT_KEY, moved, is_error);
    // Nor does it open under a name that nothing was ever sealed for.
    victims.object.write(&stack.direct, "tampering/new-name").unwrap();
    let answer = stack.client.object("GET", "tampering/new-name").send(&[]).unwrap();
    assert!(is_error(&refusal(&answer, &victims.plaintext).unwrap()));
}
