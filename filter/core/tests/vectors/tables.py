"""The vectors that are tables: keys.json, macs.json, segments.json, layout.json, unencrypted.json."""

from sealing import (
    ALG, KEK, SEALED_SEGMENT, SEGMENT, b64, content_key, context, direct_dek, header, mac, mac_message, metadata_key, seal,
    stream,
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
    master_key, salt = stream("keys/master", 32), stream("keys/salt", 32)
    return {
        "dek": [
            {"dek": d.hex(), "content_key": content_key(d).hex(), "metadata_key": metadata_key(d).hex()} for d in deks
        ],
        "direct": [
            {"master_key": master_key.hex(), "salt": salt.hex(), "bucket": bucket, "object_key": object_key,
             "dek": direct_dek(master_key, salt, bucket, object_key).hex()}
            for bucket, object_key in names
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
