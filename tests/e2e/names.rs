//! Object keys: the bytes that the client names are the bytes that the store gets.

use e2e::plaintext::random;
use e2e::stack::Stack;

on_every_stack!(odd_names_are_kept);

/// Names that some part of the way could take for something else.
fn odd_names() -> Vec<String> {
    let names = [
        "plus+and space",
        "percent%and%20escape",
        "question?mark#hash",
        "two//slashes",
        "a/./b",
        "a/../b",
        "trailing/",
        "semi;colon,comma=equals&and",
        "quotes\"'`",
        "brackets[]{}()<>",
        "tilde~star*bang!at@dollar$",
        "back\\slash|pipe^caret",
        "ünïcödé/日本語/🔐",
        "e\u{301}decomposed",
        "x-amz-meta-s3ep-dek",
        "dots...",
        " leading space",
    ];
    let long = format!("long/{}", vec!["n".repeat(100); 10].join("/"));
    names.into_iter().map(str::to_owned).chain([long]).map(|name| format!("names/{name}")).collect()
}

/// Whatever the store takes from its own clients, it takes through the filter, under the same name.
fn odd_names_are_kept(stack: &Stack) {
    let mut refused = Vec::new();
    for (seed, object_key) in (1..).zip(odd_names()) {
        let straight = stack.direct.object("PUT", &object_key).send(b"straight").unwrap();
        let body = random(70_000, seed);
        let through = stack.client.object("PUT", &object_key).send(&body).unwrap();
        assert_eq!(through.status, straight.status, "{object_key}");
        if through.status != 200 {
            refused.push(object_key);
            continue;
        }
        assert!(stack.client.get(&object_key).unwrap().body == body, "{object_key}");
        let at_rest = stack.direct.get(&object_key).unwrap();
        assert_eq!(at_rest.body.len(), 70_000 + 2 * 48, "{object_key} is another object at the store");
        stack.client.object("DELETE", &object_key).send(&[]).unwrap().expect(204).unwrap();
        stack.direct.object("GET", &object_key).send(&[]).unwrap().expect(404).unwrap();
    }
    // What a store refuses differs, but most of these are fine with all of them.
    assert!(refused.len() <= 4, "{refused:?}");
}
