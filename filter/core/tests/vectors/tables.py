"""The vectors that are tables: keys.json, macs.json, segments.json, layout.json, unencrypted.json, uploads.json."""

import base64
import hmac
import string

from checksums import CHECKSUMS
from sealing import (
    ALG, KEK, SEALED_SEGMENT, SEGMENT, b64, content_key, context, direct_dek, direct_wrap, header, mac, mac_message, masked,
    metadata_key, seal, stream, upload_mac, upload_token,
)  # fmt: skip


def keys() -> dict:
    deks = [bytes(32), bytes(range(32)), stream("keys/dek", 32)]
    names = [
        ("bucket", "object"),
        ("bucket", "folder/object.txt"),
        ("b", "ucketfolder/object.txt"),
        ("bucket", ""),
        ("bucket", "/leading//and/trailing/"),
        ("bucket", "a b+c%20d?e&f=g"),
        ("bucket", "Grüße/雪/🔑"),
        ("bucket", "e\u0301 is not \u00e9"),
        ("bucket", "k" * 1024),
    ]
    master_key, salt, nonce = stream("keys/master", 32), stream("keys/salt", 32), stream("keys/nonce", 12)
    digests = [(name, checksum(b"plaintext")) for name, checksum in CHECKSUMS.items()]
    return {
        "dek": [
            {"dek": d.hex(), "content_key": content_key(d).hex(), "metadata_key": metadata_key(d).hex()} for d in deks
        ],
        "direct": [
            {"master_key": master_key.hex(), "salt": salt.hex(), "bucket": bucket, "object_key": object_key,
             "dek": direct_dek(master_key, salt, bucket, object_key).hex()}
            for bucket, object_key in names
        ],
        "direct_wrap": [
            {"master_key": master_key.hex(), "bucket": bucket, "object_key": object_key, "dek": deks[2].hex(),
             "wrapped": direct_wrap(master_key, nonce, deks[2], bucket, object_key).hex()}
            for bucket, object_key in names
        ],
        "checksum": [
            {"dek": deks[2].hex(), "algorithm": name, "checksum": digest.hex(), "masked": masked(deks[2], name, digest).hex()}
            for name, digest in digests
        ],
        "context": [
            {"bucket": bucket, "object_key": object_key, "bytes": context(bucket, object_key).hex()}
            for bucket, object_key in names
        ],
    }  # fmt: skip


def macs() -> list[dict]:
    rows = [
        ("with_len", KEK, 77, "5"),
        ("without_len", KEK, 77, None),
        ("len_0", KEK, 77, "0"),
        ("len_5_tib", KEK, 77, str(5 << 40)),
        ("direct", "direct:demo", 32, "131073"),
        ("direct_without_len", "direct:demo", 32, None),
        ("kek_with_equals_sign", "a=b", 1, "1"),
    ]
    table = []
    for name, kek, wrapped_length, length in rows:
        dek = stream(f"macs/{name}/dek", 32)
        fields = {"alg": ALG, "dek": b64(stream(f"macs/{name}/wrapped", wrapped_length)), "kek": kek}
        fields |= {"len": length} if length is not None else {}
        table.append(
            {"name": name, "data_key": dek.hex(), **{"len": None, **fields},
             "message": mac_message(fields).decode(), "mac": b64(mac(dek, fields))}
        )  # fmt: skip
    return table


def segments() -> list[dict]:
    rows = [
        ("one_byte", 1, 0, True, b"\0"),
        ("part_2_index_3", 2, 3, True, b"a final segment"),
        ("part_10000_index_highest", 10_000, 2**32 - 1, True, stream("segments/plaintext", 100)),
    ]
    table = []
    for name, part, index, final, plaintext in rows:
        key, nonce = content_key(stream(f"segments/{name}/dek", 32)), stream(f"segments/{name}/nonce", 12)
        sealed = seal(key, plaintext, nonce, part=part, index=index, flags=int(final))
        table.append(
            {"name": name, "content_key": key.hex(), "part": part, "index": index, "final": final, "nonce": nonce.hex(),
             "plaintext": plaintext.hex(), "segment": sealed.hex()}
        )  # fmt: skip
    return table


def sealed_length(n: int) -> int:
    return n + 48 * ((n + SEGMENT - 1) // SEGMENT)


def layout() -> dict:
    lengths = [0, 1, 2, 47, 48, 49, 1000]
    lengths += [k * SEGMENT + d for k in (1, 2, 3, 80, 65_536) for d in (-49, -48, -1, 0, 1, 48, 49)]
    lengths += [5 << 30, (5 << 30) + 1, (5 << 40) - 1, 5 << 40]
    impossible = [k * SEALED_SEGMENT + d for k in (0, 1, 2, 80, 65_536) for d in (1, 2, 31, 32, 33, 47, 48)]
    ranges = [
        (1, 0, 0), (65_536, 0, 65_535), (65_536, 65_535, 65_535), (65_537, 65_536, 65_536), (65_537, 65_535, 65_536),
        (131_073, 0, 0), (131_073, 65_536, 131_071), (131_073, 65_535, 131_072), (131_073, 131_072, 131_072),
        (10_000_000, 1_234_567, 7_654_321), (5 << 40, (5 << 40) - 1, (5 << 40) - 1),
    ]  # fmt: skip
    return {
        "sealed_length": [{"plaintext": n, "body": sealed_length(n)} for n in lengths],
        "impossible_body_lengths": impossible,
        "ranges": [range_row(*row) for row in ranges],
    }


def range_row(length: int, first: int, last: int) -> dict:
    """The plaintext bytes first..=last and the body bytes body_first..=body_last that a reader needs for them."""
    start = first // SEGMENT * SEALED_SEGMENT
    end = min((last // SEGMENT + 1) * SEALED_SEGMENT, sealed_length(length))
    return {
        "plaintext_length": length, "first": first, "last": last,
        "first_segment": first // SEGMENT, "last_segment": last // SEGMENT,
        "body_first": start, "body_last": end - 1,
        "skip": first - first // SEGMENT * SEGMENT, "take": last - first + 1,
    }  # fmt: skip


def unencrypted() -> list[dict]:
    """Section 7: bodies without our metadata, and whether they begin with the header of a valid first segment."""

    def row(name, body, refused):
        return {"name": name, "body": body.hex(), "refused": refused}

    nonce = stream("unencrypted/nonce", 12)
    good = {"flags": 1, "length": 5, "nonce": nonce}
    rest = stream("unencrypted/rest", 21)
    return [
        row("empty", b"", False),
        row("magic_only", b"S3EP", False),
        row("text", b"S3EP is a format, and this is a text about it.", False),
        row("segment", header(**good) + rest, True),
        row("segment_not_final", header(**{**good, "flags": 0, "length": SEGMENT}) + rest, True),
        row("header_only", header(**good), True),
        row("header_short", header(**good)[:31], False),
        row("version_2", header(**good, version=2) + rest, False),
        row("reserved_not_zero", header(**good, reserved=1) + rest, False),
        row("length_0", header(**{**good, "length": 0}) + rest, False),
        row("preceded_by_a_byte", b"\0" + header(**good) + rest, False),
        row("index_1", header(**good, index=1) + rest, False),
        row("part_2", header(**good, part=2) + rest, False),
    ]


def uploads() -> list[dict]:
    """Section 8: UploadIds as clients send them, and whether a part may be sealed for them."""
    dek, wrapped, upstream = stream("uploads/dek", 32), stream("uploads/wrapped", 77), "2~store.s-own_ID"
    mac_of_it = upload_mac(dek, upstream, KEK, wrapped)

    def row(name, token, holds=False, upstream=upstream, kek=KEK, wrapped=wrapped):
        token = token if isinstance(token, str) else base64.urlsafe_b64encode(token).decode().rstrip("=")
        return {"name": name, "data_key": dek.hex(), "upload_id": f"{upstream}.{token}", "upstream": upstream,
                "kek": kek, "dek": b64(wrapped), "holds": holds}  # fmt: skip

    def made(name, holds=True, upstream=upstream, kek=KEK, wrapped=wrapped):
        return row(name, upload_token(upload_mac(dek, upstream, kek, wrapped), kek, wrapped), holds, upstream, kek, wrapped)

    def altered(name, mac=mac_of_it, kek=KEK, wrapped=wrapped, **more):
        return row(name, upload_token(mac, kek, wrapped, **more))

    good = upload_token(mac_of_it, KEK, wrapped)
    in_text = base64.urlsafe_b64encode(good).decode()
    standard = b64(good).rstrip("=")
    without_lengths = b"".join([b"s3ep/v1 upload", upstream.encode(), KEK.encode(), wrapped])
    assert in_text.endswith("=") and set("+/") & set(standard)
    # The last character holds bits beyond the last byte: any of them set decodes, loosely read, to the same token.
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    last = in_text.rstrip("=")[-1]
    loose = in_text.rstrip("=")[:-1] + alphabet[alphabet.index(last) + 1]
    assert base64.urlsafe_b64decode(loose + "=" * (-len(loose) % 4)) == good
    return [
        made("envelope"),
        made("direct", kek="direct:demo", wrapped=wrapped[:32]),
        made("upstream_with_dots", upstream="a.b..c"),
        made("upstream_ends_in_a_dot", upstream="a."),
        made("upstream_of_1_byte", upstream="u"),
        made("kek_1_character", kek="k", wrapped=b"\0"),
        made("kek_256_characters", kek="k" * 256),
        made("dek_1024_bytes", wrapped=stream("uploads/1024", 1024)),
        row("mac_flipped_first_byte", bytes([good[0], good[1] ^ 1]) + good[2:]),
        row("mac_flipped_last_byte", good[:32] + bytes([good[32] ^ 0x80]) + good[33:]),
        altered("mac_zeroed", bytes(32)),
        row("token_of_another_upload", good, upstream="2~another.s-ID"),
        row("token_of_another_upload_without_a_byte", good, upstream=upstream[:-1]),
        altered("kek_renamed", kek=KEK[:-1] + "O"),
        altered("dek_flipped", wrapped=bytes([wrapped[0] ^ 1]) + wrapped[1:]),
        altered("border_of_kek_and_dek_moved", kek=KEK + "A", wrapped=wrapped[1:]),
        altered("kek_length_one_less", kek_length=len(KEK) - 2),
        altered("kek_length_not_less_one", kek_length=len(KEK)),
        altered("version_0", version=0),
        altered("version_2", version=2),
        altered("mac_keyed_with_dek", hmac.digest(dek, without_lengths, "sha256")),
        altered("mac_without_lengths", hmac.digest(metadata_key(dek), without_lengths, "sha256")),
        altered("mac_of_metadata", mac(dek, {"alg": ALG, "dek": b64(wrapped), "kek": KEK})),
        made("kek_with_space", False, kek="key 1"),
        made("dek_1025_bytes", False, wrapped=stream("uploads/1025", 1025)),
        made("dek_empty", False, wrapped=b""),
        row("cut_last_byte", good[:-1]),
        row("cut_before_dek", good[: 34 + len(KEK)]),
        row("cut_in_kek", good[:40]),
        row("cut_before_kek", good[:34]),
        row("cut_before_kek_length", good[:33]),
        row("cut_in_mac", good[:20]),
        row("cut_after_version", good[:1]),
        row("cut_last_character", in_text.rstrip("=")[:-1]),
        row("token_empty", b""),
        row("byte_appended", good + b"\0"),
        row("padded", in_text),
        row("bits_behind_the_last_byte", loose),
        row("standard_alphabet", standard),
        row("token_twice", in_text.rstrip("=") + "." + in_text.rstrip("=")),
        {**row("token_missing", good), "upload_id": upstream},
        {**row("dot_missing", good), "upload_id": upstream.replace(".", "") + in_text.rstrip("=")},
    ]
