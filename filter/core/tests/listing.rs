//! Sizes and ETags in listings: nothing else changes, however the body is cut.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use s3ep_core::format::layout::{plain_len, sealed_len};
use s3ep_core::s3::listing::{Element, OBJECTS, PARTS, Rule, TextRewriter};

fn rewritten<'a>(elements: &'static [Element], windows: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    rewritten_by(vec![Rule::sizes(elements, plain_len)], windows)
}

fn rewritten_by<'a>(rules: Vec<Rule>, windows: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut rewriter = TextRewriter::new(rules);
    let mut out = Vec::new();
    windows.into_iter().for_each(|window| rewriter.push(window, &mut out));
    rewriter.finish(&mut out);
    out
}

/// Whole, byte by byte, and in threes.
fn objects(xml: &str) -> String {
    let whole = rewritten(OBJECTS, [xml.as_bytes()]);
    assert_eq!(rewritten(OBJECTS, xml.as_bytes().chunks(1)), whole);
    assert_eq!(rewritten(OBJECTS, xml.as_bytes().chunks(3)), whole);
    String::from_utf8(whole).unwrap()
}

/// Sizes and ETags; whole, byte by byte, and in threes.
fn both(xml: &str) -> String {
    let rules = || vec![Rule::sizes(OBJECTS, plain_len), Rule::etags()];
    let whole = rewritten_by(rules(), [xml.as_bytes()]);
    assert_eq!(rewritten_by(rules(), xml.as_bytes().chunks(1)), whole);
    assert_eq!(rewritten_by(rules(), xml.as_bytes().chunks(3)), whole);
    String::from_utf8(whole).unwrap()
}

/// As the stores write it; `@` stands before a sealed size that must change.
const LISTING: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix></Prefix><KeyCount>3</KeyCount>
<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><Size>49</Size>
<Contents><Key>a&lt;Size&gt;49&lt;/Size&gt;</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>
<ETag>&quot;0123&quot;</ETag><Size>@49</Size><Owner><ID>49</ID><Size>49</Size></Owner><StorageClass>STANDARD</StorageClass></Contents>
<Contents><Size>@65633</Size><Key>b</Key></Contents><Contents><Key>empty</Key><Size>@0</Size></Contents>
<CommonPrefixes><Prefix>49/</Prefix></CommonPrefixes></ListBucketResult>"#;

#[test]
fn a_listing() {
    let sealed = LISTING.replace('@', "");
    let plain = LISTING.replace("@49", "1").replace("@65633", "65537").replace("@0", "0");
    assert_eq!(objects(&sealed), plain);
}

#[test]
fn versions_and_parts() {
    let versions = "<ListVersionsResult><Version><Size>49</Size></Version><DeleteMarker><Size>49</Size></DeleteMarker></ListVersionsResult>";
    assert_eq!(objects(versions), versions.replacen("49", "1", 1));
    let parts = "<ListPartsResult><Part><PartNumber>49</PartNumber><Size>49</Size></Part></ListPartsResult>";
    assert_eq!(objects(parts), parts);
    assert_eq!(rewritten(PARTS, [parts.as_bytes()]), parts.replace("<Size>49", "<Size>1").into_bytes());
}

const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// What becomes of a document in which `~` stands for an MD5 that clients must not see as such, and `@` for another one.
fn assert_marked(document: &str) {
    let store = document.replace(['@', '~'], MD5);
    let client = document.replace('@', MD5).replace('~', &format!("{MD5}-01"));
    assert_eq!(both(&store), client.replace("<Size>49", "<Size>1"));
}

#[test]
fn etags_and_sizes_in_one_pass() {
    assert_marked(
        r#"<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>@</Name><Prefix>@</Prefix><ETag>@</ETag>
<Contents><Key>"@"</Key><ETag>"~"</ETag><Size>49</Size><Owner><ID>@</ID><ETag>@</ETag></Owner></Contents>
<Contents><Size>49</Size><ETag>&quot;~&quot;</ETag></Contents><Contents><ETag>&#34;~&#34;</ETag><Size>49</Size></Contents>
<Contents><ETag> ~ </ETag><Size>49</Size></Contents><Contents><ETag>"@-2"</ETag><Size>49</Size></Contents>
<Contents><ETag><!-- @ --></ETag><ETag/><ETag></ETag><Size>49</Size></Contents></ListBucketResult>"#,
    );
}

#[test]
fn etags_in_other_documents() {
    for document in [
        "<ListVersionsResult><Version><ETag>~</ETag></Version><DeleteMarker><ETag>@</ETag></DeleteMarker></ListVersionsResult>",
        "<ListPartsResult><UploadId>@</UploadId><Part><ETag>~</ETag></Part></ListPartsResult>",
        "<?xml version=\"1.0\"?>\n \n<CompleteMultipartUploadResult><ETag>~</ETag></CompleteMultipartUploadResult>",
        "<CopyObjectResult xmlns='x'><LastModified>@</LastModified><ETag>~</ETag></CopyObjectResult>",
        "<s:CopyObjectResult><s:ETag>~</s:ETag></s:CopyObjectResult>",
        "<GetObjectAttributesResponse><ETag>~</ETag></GetObjectAttributesResponse>",
        "<Error><Code>InvalidPart</Code><ETag>@</ETag></Error>",
        "<ETag>@</ETag>",
    ] {
        assert_marked(document);
    }
}

#[test]
fn forms_of_a_size_element() {
    for (size, expected) in [
        ("<Size>49</Size>", "<Size>1</Size>"),
        ("<Size> \r\n\t49 </Size >", "<Size> \r\n\t1 </Size >"),
        ("<Size a='>' b=\"/>\">49</Size>", "<Size a='>' b=\"/>\">1</Size>"),
        ("<Size\n>49</Size\n>", "<Size\n>1</Size\n>"),
        ("<s3:Size>65585</s3:Size>", "<s3:Size>65585</s3:Size>"),
        ("<s3:Size>65633</s3:Size>", "<s3:Size>65537</s3:Size>"),
        ("<Size>5501584670720</Size>", "<Size>5497558138880</Size>"),
    ] {
        let xml =
            |size| format!("<R><s3:Contents>{size}<A/></s3:Contents><Contents a='b'><Size>50</Size></Contents></R>");
        assert_eq!(objects(&xml(size)), xml(expected).replace(">50<", ">2<"), "{size:?}");
    }
}

/// A size next to them is still found, so these are understood and not merely given up on.
#[test]
fn what_is_no_size_stays() {
    for inner in [
        "<Size>1</Size><Size>48</Size><Size>65585</Size>",
        "<Size></Size><Size/><Size /><Size a='/'></Size>",
        "<Size>-49</Size><Size>+49</Size><Size>0x49</Size><Size>4 9</Size><Size>49.0</Size><Size>&#52;9</Size><Size>٤</Size>",
        "<Size>99999999999999999999999999</Size>",
        "<Size>                                                                                49</Size>",
        "<Size><![CDATA[49]]></Size><Size>49<![CDATA[]]></Size><Size>49<!-- --></Size><Size><!-- -->49</Size>",
        "<Size>49<?pi?></Size><Size><?pi?>49</Size><Size>49<b/></Size><Size>49<b>50</b></Size>",
        "<!--<Size>49</Size>--><!-- - -- <Size>49</Size> ---><![CDATA[<Size>49</Size>]] >]]]>",
        "<!-- -> <Size>49</Size> --><![CDATA[]> ] ]> <Size>49</Size>]]>",
        "<?a <Size>49</Size>?><?a ? > <Size>49</Size> ??>",
        "<Key a=\"<Size>49</Size>\" b='<Contents><Size>49</Size>'/>",
        "<size>49</size><Sizes>49</Sizes><xSize>49</xSize><Size:x>49</Size:x>",
        "<Owner><Size>49</Size></Owner><Size><Size>49</Size></Size>",
    ] {
        let xml = |size| format!("<R><Contents>{inner}<Size>{size}</Size></Contents></R>");
        assert_eq!(objects(&xml(50)), xml(2), "{inner}");
    }
}

/// What is not understood leaves as it came, with all that follows it.
#[test]
fn what_is_not_well_formed_passes() {
    let deep = "<a>".repeat(100);
    let long = format!("<{}>", "a".repeat(1000));
    for start in [
        "<!DOCTYPE x [<!ENTITY e 'x'>]>",
        "<!-x",
        "<![CDATA",
        "</a>",
        "<a></b>",
        "<>",
        "< a>",
        "<a <b>",
        "</a<b>",
        &deep,
        &long,
    ] {
        let xml = format!("{start}<Contents><Size>49</Size></Contents>");
        assert_eq!(objects(&xml), xml, "{start}");
    }
}

#[test]
fn a_body_cut_short_is_whole_up_to_the_cut() {
    let sealed = LISTING.replace('@', "");
    let whole = objects(&sealed);
    for end in 0..sealed.len() {
        let cut = rewritten(OBJECTS, [&sealed.as_bytes()[..end]]);
        let held = cut.iter().zip(whole.as_bytes()).take_while(|(a, b)| a == b).count();
        // At most a size that never ended differs.
        assert!(cut.len() - held <= "65633<".len(), "{end}");
    }
}

#[test]
fn little_is_held_back() {
    let mut rewriter = TextRewriter::new(vec![Rule::sizes(OBJECTS, plain_len), Rule::etags()]);
    let (mut out, mut pushed) = (Vec::new(), 0);
    let endless = ["<R><Contents><Size>", &"9".repeat(100_000), "</Size><", &"x".repeat(100_000)].concat();
    for byte in endless.as_bytes() {
        rewriter.push(&[*byte], &mut out);
        pushed += 1;
        assert!(pushed - out.len() < 100);
    }
    rewriter.finish(&mut out);
    assert_eq!(out, endless.as_bytes());
}

fn fragment() -> impl Strategy<Value = String> {
    let literal = prop::sample::select(vec![
        "<Contents>",
        "</Contents>",
        "<Size>",
        "</Size>",
        "<Version a='<Size>'>",
        "</Version>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "?>",
        "<Size/>",
        "49",
        "65633",
        " ",
        "-",
        "]",
        "<",
        ">",
        "/",
        "\"",
        "'",
        "&lt;",
        "<a:Size >",
        "<ETag>",
        "</ETag>",
        "&quot;",
        MD5,
    ]);
    prop_oneof![8 => literal.prop_map(str::to_owned), 1 => "[a-z<>/!?\\[\\]'\"0-9 -]{0,6}"]
}

fn cut<'a>(bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut windows = Vec::new();
    for length in lengths {
        let (window, after) = rest.split_at((*length).min(rest.len()));
        windows.push(window);
        rest = after;
    }
    windows.push(rest);
    windows
}

proptest! {
    #[test]
    fn sizes_become_plain_at_any_split(
        sizes in prop::collection::vec(0u64..1 << 44, 0..6),
        lengths in prop::collection::vec(0usize..60, 0..40),
    ) {
        let xml = |sizes: Vec<u64>| {
            let contents: String = sizes.iter().map(|n| format!("<Contents><Key>k</Key><Size>{n}</Size></Contents>")).collect();
            format!("<ListBucketResult>{contents}</ListBucketResult>").into_bytes()
        };
        let sealed = xml(sizes.iter().map(|n| sealed_len(*n).unwrap()).collect());
        prop_assert_eq!(rewritten(OBJECTS, cut(&sealed, &lengths)), xml(sizes));
    }

    #[test]
    fn soup_is_the_same_at_any_split_and_only_digits_and_marks_change(
        fragments in prop::collection::vec(fragment(), 0..40),
        lengths in prop::collection::vec(0usize..12, 0..60),
    ) {
        let soup = fragments.concat().into_bytes();
        let rules = || vec![Rule::sizes(OBJECTS, plain_len), Rule::etags()];
        let whole = rewritten_by(rules(), [soup.as_slice()]);
        prop_assert_eq!(&rewritten_by(rules(), cut(&soup, &lengths)), &whole);
        let is_kept = |byte: &u8| !byte.is_ascii_digit() && *byte != b'-';
        let kept = |xml: &[u8]| xml.iter().copied().filter(is_kept).collect::<Vec<_>>();
        prop_assert_eq!(kept(&whole), kept(&soup));
    }

    #[test]
    fn arbitrary_bytes_never_panic(windows in any::<Vec<Vec<u8>>>()) {
        rewritten(OBJECTS, windows.iter().map(Vec::as_slice));
    }
}
