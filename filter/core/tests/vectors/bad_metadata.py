"""Objects whose metadata a reader must reject. Their bodies are sound: only the metadata is at fault."""

import base64
import dataclasses
import hmac

from checksums import CHECKSUMS
from sealing import b64, direct, directly_copied, envelope, mac, mac_message, masked, metadata_key, stream
from vector import vector

ONE = envelope("metadata")
PLAINTEXT = ONE.plaintext(5)
BODY = ONE.part(1, PLAINTEXT)
GOOD = ONE.metadata(5)


def bad(name, rule, comment, metadata, key=ONE.key, body=BODY) -> dict:
    return vector(name, rule, comment, key, metadata, [body], "metadata")


def full(name: str) -> str:
    return f"x-amz-meta-s3ep-{name}"


def value(name: str) -> str:
    return dict(GOOD)[full(name)]


def changed(name: str, new: str, metadata=GOOD) -> list:
    return [[n, new if n == full(name) else v] for n, v in metadata]


def without(name: str, metadata=GOOD) -> list:
    return [[n, v] for n, v in metadata if n != full(name)]


def flipped_base64(text: str) -> str:
    data = base64.b64decode(text)
    return b64(bytes([data[0] ^ 1]) + data[1:])


def altered() -> list[dict]:
    """By somebody without the DEK: the MAC shows it."""
    other = envelope("metadata_other_object")
    multipart = envelope("metadata_multipart")
    multipart_body = multipart.part(1, multipart.plaintext(5))
    injected = without("len", changed("kek", value("kek") + "\nlen=5"))
    swapped = changed("dek", b64(other.dek_header))
    return [
        bad("metadata_len_changed", "4.3", "len is 6 in place of 5.", changed("len", "6")),
        bad("metadata_len_missing_on_single", "4.3", "len was removed, as if from a multipart upload.", without("len")),
        bad("metadata_len_added_on_multipart", "4.3", "A multipart upload was given a len.",
            multipart.metadata(None) + [[full("len"), "5"]], multipart.key, multipart_body),
        bad("metadata_mac_flipped", "4.3", "One bit of the MAC is flipped.", changed("mac", flipped_base64(value("mac")))),
        bad("metadata_mac_of_other_object", "4.3", "The MAC of another object with the same len.",
            changed("mac", dict(other.metadata(5))[full("mac")])),
        bad("metadata_dek_flipped", "4.3", "A wrapped DEK that still unwraps to the same DEK was altered.",
            changed("dek", flipped_base64(value("dek")))),
        bad("metadata_dek_swapped", "4.3", "The wrapped DEK of another object, so another DEK.", swapped, other.key),
        bad("metadata_kek_renamed", "4.3", "kek names another KEK.", changed("kek", value("kek") + "2")),
        bad("metadata_kek_line_injected", "4.2", "kek holds the len line too: the same MAC input, other fields.", injected),
        bad("metadata_of_other_object_dek_kept", "4.3", "All metadata of another object, but the DEK of this one.",
            other.metadata(5)),
    ]


def incomplete() -> list[dict]:
    missing = [
        bad(f"metadata_{name}_missing", "4.4", f"There is no {name}.", without(name))
        for name in ("alg", "dek", "kek", "mac")
    ]
    twice = [
        bad(f"metadata_{name}_twice", "4.4", f"{name} is there twice, with the same value.", GOOD + [[full(name), value(name)]])
        for name in ("alg", "dek", "kek", "len", "mac")
    ]
    return missing + twice + [
        bad("metadata_len_alone", "4.4", "len is the only one of our headers.", [[full("len"), "5"]]),
        bad("metadata_unknown_header", "4.4", "There is an x-amz-meta-s3ep- header that version 1 does not know.",
            GOOD + [[full("extra"), "1"]]),
    ]


def resealed() -> list[dict]:
    """Values that section 4 forbids, under a MAC that verifies."""

    def values(suffix, rule, comment, **fields):
        length = fields.pop("len", 5)
        return bad(f"metadata_{suffix}", rule, comment, ONE.metadata(length, **fields))

    dek = value("dek")
    assert dek.endswith("=") and ("+" in dek or "/" in dek)
    return [
        values("alg_unknown", "4", "alg is AES256-GCM-SEG1M.", alg="AES256-GCM-SEG1M"),
        values("alg_lower_case", "4", "alg is in lower case.", alg="aes256-gcm-seg64k"),
        values("kek_empty", "4.2", "kek is empty.", kek=""),
        values("kek_257_characters", "4.2", "kek is one too long.", kek="k" * 257),
        values("kek_with_space", "4.2", "kek holds a space.", kek="key 1"),
        values("kek_not_ascii", "4.2", "kek is not ASCII (UTF-8 in the header).", kek="schlüssel"),
        values("kek_with_delete", "4.2", "kek holds 0x7f.", kek="key\x7f"),
        values("dek_empty", "4.2", "The wrapped DEK is empty.", dek=""),
        values("dek_1025_bytes", "4.2", "The wrapped DEK is one byte too long.", dek=b64(stream("dek_1025", 1025))),
        values("dek_base64_unpadded", "4", "dek lacks its padding.", dek=dek.rstrip("=")),
        values("dek_base64_url_safe", "4", "dek uses the URL-safe alphabet.", dek=dek.replace("+", "-").replace("/", "_")),
        values("dek_base64_broken", "4", "dek is not base64.", dek="****"),
        values("len_empty", "4", "len is empty.", len=""),
        values("len_leading_zero", "4", "len is 05.", len="05"),
        values("len_double_zero", "4", "len is 00.", len="00"),
        values("len_plus_sign", "4", "len is +5.", len="+5"),
        values("len_negative", "4", "len is -5.", len="-5"),
        values("len_with_space", "4", "len is followed by a space.", len="5 "),
        values("len_hexadecimal", "4", "len is 0x5.", len="0x5"),
        values("len_fraction", "4", "len is 5.0.", len="5.0"),
        values("len_two_to_the_64", "4", "len does not fit 64 bits.", len=str(2**64)),
        values("len_wraps_to_5", "4", "len is 2^64 + 5, which is 5 for a reader that wraps.", len=str(2**64 + 5)),
    ]


def mac_shapes() -> list[dict]:
    digest = base64.b64decode(value("mac"))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet[alphabet.index(value("mac")[42]) ^ 1]
    fields = {name: value(name) for name in ("len", "kek", "dek", "alg")}
    with_mac_of_len_first = "".join(f"{name}={text}\n" for name, text in fields.items())

    def keyed(key: bytes, message: bytes) -> str:
        return b64(hmac.digest(key, message, "sha256"))

    assert mac(ONE.dek, fields) == digest
    return [
        bad("metadata_mac_empty", "4.3", "The MAC is empty.", changed("mac", "")),
        bad("metadata_mac_truncated", "4.3", "Only the first 16 bytes of the MAC.", changed("mac", b64(digest[:16]))),
        bad("metadata_mac_extended", "4.3", "A byte follows the MAC.", changed("mac", b64(digest + b"\0"))),
        bad("metadata_mac_hexadecimal", "4", "The MAC is written in hexadecimal.", changed("mac", digest.hex())),
        bad("metadata_mac_base64_trailing_bits", "4", "The right MAC, but the base64's unused last bits are not 0.",
            changed("mac", value("mac")[:42] + last + "=")),
        bad("metadata_mac_other_order", "4.1", "The MAC is over the lines in another order.",
            changed("mac", keyed(metadata_key(ONE.dek), with_mac_of_len_first.encode()))),
        bad("metadata_mac_no_last_newline", "4.1", "The MAC is over the lines without the last newline.",
            changed("mac", keyed(metadata_key(ONE.dek), mac_message(fields)[:-1]))),
        bad("metadata_mac_keyed_with_dek", "3.3", "The MAC's key is the DEK itself.",
            changed("mac", keyed(ONE.dek, mac_message(fields)))),
    ]


def keys() -> list[dict]:
    s = direct("direct_bad", "bucket", "folder/object.txt")
    good, body = s.metadata(5), s.part(1, s.plaintext(5))
    salt = dict(good)[full("dek")]
    short = direct("direct_salt_31", "bucket", "folder/object.txt", 31)
    long = direct("direct_salt_33", "bucket", "folder/object.txt", 33)

    def unlike(name, comment, metadata=good, rule="4.3", **key):
        return bad(f"direct_{name}", rule, comment, metadata, {**s.key, **key}, body)

    dek_31 = envelope("envelope_dek_31")
    dek_31 = dataclasses.replace(dek_31, dek=dek_31.dek[:31], key={"dek": dek_31.dek[:31].hex()})
    return [
        unlike("salt_flipped", "One bit of the salt is flipped.", changed("dek", flipped_base64(salt), good)),
        unlike("other_key_name", "The object was moved to another object key.", object_key="folder/object2.txt"),
        unlike("other_bucket", "The object was moved to another bucket.", bucket="bucket2"),
        unlike("border_moved", "Bucket and object key concatenate to the same bytes, but for the 0x00.",
               bucket="bucketf", object_key="older/object.txt"),
        unlike("key_percent_encoded", "The object key is percent-encoded.", object_key="folder%2Fobject.txt"),
        unlike("other_master_key", "The master key of that name is another one.", master_keys={"demo": "11" * 32}),
        unlike("master_key_renamed", "kek names a master key that exists, but did not seal this.",
               changed("kek", "direct:newer", good), master_keys={**s.key["master_keys"], "newer": "11" * 32}),
        unlike("master_key_unknown", "kek names a master key that the reader does not have.",
               s.metadata(5, kek="direct:gone"), "3.6"),
        unlike("master_key_unnamed", "kek names no master key.", s.metadata(5, kek="direct:"), "3.6"),
        bad("direct_salt_31_bytes", "3.6", "The salt is too short.", short.metadata(5), short.key,
            short.part(1, short.plaintext(5))),
        bad("direct_salt_33_bytes", "3.6", "The salt is too long.", long.metadata(5), long.key,
            long.part(1, long.plaintext(5))),
        bad("envelope_dek_31_bytes", "3.1", "The KMS unwrapped a DEK of 31 bytes.", dek_31.metadata(5), dek_31.key,
            dek_31.part(1, dek_31.plaintext(5))),
    ]


def parts() -> list[dict]:
    def copy(suffix, rule, comment, metadata):
        return bad(f"parts_{suffix}", rule, comment, metadata)

    def resealed(suffix, comment, text, rule="4.2"):
        return copy(suffix, rule, comment, ONE.metadata(None, parts=text))

    good = ONE.metadata(None, parts="1x53")
    return [
        copy("changed", "4.3", "parts is 1x54 in place of 1x53.", changed("parts", "1x54", good)),
        copy("missing", "4.3", "parts was removed, as if from a multipart upload.", without("parts", good)),
        copy("added_on_multipart", "4.3", "A multipart upload was given parts.",
             ONE.metadata(None) + [[full("parts"), "1x53"]]),
        copy("in_place_of_len", "4.3", "A PutObject's len was replaced by parts.",
             without("len") + [[full("parts"), "1x53"]]),
        copy("twice", "4.4", "parts is there twice, with the same value.", good + [[full("parts"), "1x53"]]),
        copy("and_len", "4.4", "There are len and parts, which agree.", ONE.metadata(5, parts="1x53")),
        resealed("neighbours_equal", "Two neighbours are equal.", "1x53,1x53", "4"),
        resealed("neighbours_equal_later", "The last two of three runs are equal.", "1x54,2x53,1x53", "4"),
        resealed("empty", "parts is empty.", ""),
        resealed("count_0", "A run of no parts.", "0x53"),
        resealed("count_leading_zero", "A count with a leading zero.", "01x53"),
        resealed("count_missing", "A run without its count.", "x53"),
        resealed("count_10001", "More parts than there can be.", "10001x53"),
        resealed("count_10001_in_two_runs", "More parts than there can be, in two runs.", "10000x53,1x54"),
        resealed("length_leading_zero", "A length with a leading zero.", "1x053"),
        resealed("length_missing", "A run without its length.", "1x"),
        resealed("length_plus_sign", "A length with a sign.", "1x+53"),
        resealed("length_1", "A body length that no part has.", "1x1"),
        resealed("length_48", "The body of a segment without a byte.", "1x48"),
        resealed("length_65632", "One segment and 48 bytes.", "1x65632"),
        resealed("length_2_64", "A length beyond 64 bits.", f"1x{2**64 + 65_584 - 2**64 % 65_584}"),
        resealed("sum_2_64", "Two lengths whose sum is beyond 64 bits.", f"2x{2**63 + 65_584 - 2**63 % 65_584}"),
        resealed("comma_at_end", "A comma ends it.", "1x53,"),
        resealed("semicolon", "A semicolon between runs.", "1x53;1x54"),
        resealed("space", "A space between runs.", "1x53, 1x54"),
        resealed("upper_case", "An X in place of x.", "1X53"),
    ]


def checksums() -> list[dict]:
    crc32 = CHECKSUMS["CRC32"](PLAINTEXT)
    clear, hidden = b64(crc32), b64(masked(ONE.dek, "CRC32", crc32))
    good = ONE.metadata(5, checksum=f"CRC32:{hidden}")

    other_order = "".join(f"{name}={dict(good)[full(name)]}\n" for name in ("alg", "dek", "kek", "checksum", "len"))

    def altered(suffix, comment, metadata):
        return bad(f"checksum_{suffix}", "4.3", comment, metadata)

    def resealed(suffix, comment, text):
        return bad(f"checksum_{suffix}", "4.2", comment, ONE.metadata(5, checksum=text))

    def of_length(name, length):
        return resealed(f"{name.lower()}_{length}_bytes", f"{name} with {length} bytes.", f"{name}:{b64(bytes(length))}")

    assert hidden.endswith("==")
    last = {"A": "B", "Q": "R", "g": "h", "w": "x"}[hidden[5]]
    return [
        altered("changed", "One bit of the masked checksum is flipped.",
                changed("checksum", f"CRC32:{flipped_base64(hidden)}", good)),
        altered("unmasked", "The right checksum stands there in clear.", changed("checksum", f"CRC32:{clear}", good)),
        altered("algorithm_changed", "CRC32 was made CRC32C.", changed("checksum", f"CRC32C:{hidden}", good)),
        altered("missing", "The checksum was removed.", without("checksum", good)),
        altered("added", "A checksum was added.", GOOD + [[full("checksum"), f"CRC32:{hidden}"]]),
        bad("checksum_twice", "4.4", "It is there twice, with the same value.",
            good + [[full("checksum"), f"CRC32:{hidden}"]]),
        bad("checksum_mac_other_order", "4.1", "The MAC is over the checksum before len.",
            changed("mac", b64(hmac.digest(metadata_key(ONE.dek), other_order.encode(), "sha256")), good)),
        resealed("empty", "checksum is empty.", ""),
        resealed("algorithm_alone", "There is no colon.", "CRC32"),
        resealed("algorithm_missing", "There is no algorithm.", f":{hidden}"),
        resealed("algorithm_unknown", "S3 knows no CRC16.", f"CRC16:{hidden}"),
        resealed("algorithm_lower_case", "The algorithm is in lower case.", f"crc32:{hidden}"),
        resealed("equals_sign", "An = in place of the colon.", f"CRC32={hidden}"),
        resealed("space", "A space follows the colon.", f"CRC32: {hidden}"),
        resealed("base64_unpadded", "The padding is missing.", f"CRC32:{hidden[:6]}"),
        resealed("base64_trailing_bits", "The base64's unused last bits are not 0.", f"CRC32:{hidden[:5]}{last}=="),
        resealed("hexadecimal", "It is written in hexadecimal.", f"CRC32:{crc32.hex()}"),
        *(of_length(name, len(checksum(b"")) + d) for name, checksum in CHECKSUMS.items() for d in (-1, 1)),
    ]


def direct_copies() -> list[dict]:
    source = direct("direct_copy_bad", "bucket", "folder/object.txt")
    s = directly_copied(source, "direct_copy_bad", "bucket", "folder/copy.txt")
    good, body = s.metadata(5), s.part(1, s.plaintext(5))

    def unlike(name, comment, metadata=good, **key):
        return bad(f"direct_copy_{name}", "3.7", comment, metadata, {**s.key, **key}, body)

    def flipped(name, at):
        wrapped = s.dek_header
        return unlike(f"{name}_flipped", f"A bit of the wrapped DEK's {name} is flipped.",
                      s.metadata(5, dek=b64(wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :])))

    def of_length(length):
        """All of it holds for a reader that takes a DEK of any length."""
        dek = (s.dek + b"\0")[: length - 28]
        other = dataclasses.replace(source, dek=dek)
        other = directly_copied(other, f"direct_copy_{length}", "bucket", "folder/copy.txt")
        other_body = other.part(1, other.plaintext(5))
        return bad(f"direct_copy_{length}_bytes", "3.7", f"The wrapped DEK has {length} bytes, and opens.",
                   other.metadata(5), other.key, other_body)

    return [
        of_length(59),
        of_length(61),
        unlike("11_bytes", "The wrapped DEK ends in its nonce.", s.metadata(5, dek=b64(s.dek_header[:11]))),
        unlike("is_salt", "The salt of the source stands in place of the wrapped DEK.",
               s.metadata(5, dek=b64(source.dek_header))),
        unlike("kek_of_salt", "kek begins with direct:, as if the wrapped DEK were a salt.",
               s.metadata(5, kek="direct:demo")),
        unlike("kek_upper_case", "kek begins with Direct-Wrap:.", s.metadata(5, kek="Direct-Wrap:demo")),
        flipped("nonce", 0),
        flipped("ciphertext", 12),
        flipped("tag", 59),
        unlike("other_object_key", "The copy was moved back to its source's name.", object_key="folder/object.txt"),
        unlike("other_bucket", "The copy was moved to another bucket.", bucket="bucket2"),
        unlike("border_moved", "Bucket and object key concatenate to the same bytes, but for the 0x00.",
               bucket="bucketf", object_key="older/copy.txt"),
        unlike("other_master_key", "The master key of that name is another one.", master_keys={"demo": "11" * 32}),
        unlike("master_key_renamed", "kek names a master key that exists, but did not wrap this.",
               s.metadata(5, kek="direct-wrap:newer"), master_keys={**s.key["master_keys"], "newer": "11" * 32}),
        unlike("master_key_unknown", "kek names a master key that the reader does not have.",
               s.metadata(5, kek="direct-wrap:gone")),
        unlike("master_key_unnamed", "kek names no master key.", s.metadata(5, kek="direct-wrap:")),
        unlike("len_changed", "len is 6 in place of 5.", changed("len", "6", good)),
    ]


def vectors() -> list[dict]:
    return altered() + incomplete() + resealed() + mac_shapes() + keys() + parts() + checksums() + direct_copies()
