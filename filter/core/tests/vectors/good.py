"""Objects that a reader must accept, and the large bodies that other vectors cut and paste from."""

from checksums import CHECKSUMS
from sealing import KEK, SEALED_SEGMENT, b64, copied, direct, directly_copied, envelope, masked, parts_of
from vector import Bytes, vector

LENGTHS = (65_535, 65_536, 65_537, 131_072, 131_073)


def single_body(length: int) -> tuple:
    sealed = envelope(f"single_{length}")
    plaintext = sealed.plaintext(length)
    return sealed, plaintext, Bytes(sealed.part(1, plaintext), f"single_{length}.bin")


def multipart_body(name: str, lengths: list[int]) -> tuple:
    """Part 1 is large and in the file; the others are returned inline."""
    sealed = envelope(name)
    plaintexts = [sealed.plaintext(length, number) for number, length in enumerate(lengths, 1)]
    bodies = [sealed.part(number, plaintext) for number, plaintext in enumerate(plaintexts, 1)]
    return sealed, plaintexts, [Bytes(bodies[0], f"{name}_part_1.bin"), *map(Bytes, bodies[1:])]


SINGLE = {length: single_body(length) for length in LENGTHS}
ALIGNED = multipart_body("multipart_aligned", [65_536, 1])
UNALIGNED = multipart_body("multipart_unaligned", [65_537, 3, 700])
IMPOSSIBLE = multipart_body("multipart_impossible_as_single", [65_535, 1])


def files() -> list[Bytes]:
    return [body for _, _, body in SINGLE.values()] + [parts[0] for _, _, parts in (ALIGNED, UNALIGNED, IMPOSSIBLE)]


def singles() -> list[dict]:
    vectors = []
    for length in (0, 1, *LENGTHS):
        sealed, plaintext, body = SINGLE.get(length) or single_body(length)
        body = body if length in SINGLE else body.data
        comment = f"A PutObject of {length} bytes."
        vectors.append(
            vector(f"single_{length}", "5", comment, sealed.key, sealed.metadata(length), [body], released=plaintext)
        )
    return vectors


def large_multiparts() -> list[dict]:
    comments = {
        "multipart_aligned": "Parts of 65,536 and 1 bytes: the offsets of section 5 hold over the whole body.",
        "multipart_unaligned": "Parts of 65,537, 3 and 700 bytes: part 2 starts where no formula says.",
        "multipart_impossible_as_single": "Parts of 65,535 and 1 bytes: the body's length mod 65,584 is 48, which is"
        " impossible for a part, not for the whole body.",
    }
    return [
        vector(s.label, "5.2", comments[s.label], s.key, s.metadata(None), parts, released=b"".join(plaintexts))
        for s, plaintexts, parts in (ALIGNED, UNALIGNED, IMPOSSIBLE)
    ]


def small_parts(name: str, lengths: list[int]) -> tuple[list[bytes], list[bytes]]:
    s = envelope(name)
    plaintexts = [s.plaintext(length, number) for number, length in enumerate(lengths, 1)]
    return plaintexts, [s.part(number, plaintext) for number, plaintext in enumerate(plaintexts, 1)]


def small_multiparts() -> list[dict]:
    def multipart(name, comment, lengths, rule="5.2"):
        s, plaintexts, bodies = envelope(name), *small_parts(name, lengths)
        return vector(name, rule, comment, s.key, s.metadata(None), [b"".join(bodies)], released=b"".join(plaintexts))

    s, plaintexts, parts = ALIGNED
    return [
        multipart("multipart_one_part", "An upload with one part.", [5]),
        multipart("multipart_tiny_parts", "Parts of 5, 1, 3, 2 and 4 bytes.", [5, 1, 3, 2, 4]),
        multipart("multipart_last_part_empty", "The last of three parts is empty and has no segment.", [5, 3, 0], "1"),
        multipart("multipart_empty", "An upload whose only part is empty: no body, and no len.", [0], "1"),
        vector("undetected_last_part_dropped", "7", "A whole part is missing at the end: not detected, by design.",
               s.key, s.metadata(None), [parts[0]], released=plaintexts[0]),
    ]


def modes() -> list[dict]:
    def one_part(name, rule, comment, s, length=5):
        plaintext = s.plaintext(length)
        return vector(name, rule, comment, s.key, s.metadata(length), [s.part(1, plaintext)], released=plaintext)

    two_keys = direct("direct_second_master_key", "bucket", "object")
    two_keys.key["master_keys"] = {"newer": "00" * 32, **two_keys.key["master_keys"]}
    return [
        one_part("direct", "3.6", "Direct mode.", direct("direct", "bucket", "folder/object.txt")),
        one_part("direct_empty", "3.6", "Direct mode, an empty object.", direct("direct_empty", "bucket", "empty"), 0),
        one_part("direct_key_utf8", "3.6", "The object key enters as its UTF-8, not percent-encoded.",
                 direct("direct_key_utf8", "bucket", "Grüße/ 100%/+&?/雪.txt")),
        one_part("direct_second_master_key", "3.6", "The master key is the one that kek names.", two_keys),
        one_part("envelope_dek_1_byte", "4.2", "A wrapped DEK of 1 byte.", envelope("envelope_dek_1_byte", 1)),
        one_part("envelope_dek_1024_bytes", "4.2", "A wrapped DEK of 1,024 bytes.",
                 envelope("envelope_dek_1024_bytes", 1024)),
        one_part("envelope_kek_256_characters", "4.2", "The longest kek.",
                 envelope("envelope_kek_256_characters", kek=(KEK + "!~" * 256)[:256])),
    ]


def multipart_copies() -> list[dict]:
    def copy(name, rule, comment, lengths, of=copied):
        source, plaintexts, bodies = envelope(name), *small_parts(name, lengths)
        s = of(source, f"{name}/copy")
        metadata = s.metadata(None, parts=parts_of(bodies))
        return vector(name, rule, comment, s.key, metadata, bodies, released=b"".join(plaintexts))

    def direct_copy(source, label):
        return directly_copied(source, label, "bucket", "copy")

    s, plaintexts, parts = UNALIGNED
    unaligned = copied(s, "copy_unaligned")
    return [
        vector("copy_unaligned", "3.5", "A copy of multipart_unaligned: its body, its DEK, and parts.", unaligned.key,
               unaligned.metadata(None, parts=parts_of(parts)), parts, released=b"".join(plaintexts)),
        copy("copy_equal_parts", "4", "Parts of 5, 5, 5 and 2 bytes: two runs.", [5, 5, 5, 2]),
        copy("copy_equal_parts_apart", "4", "Parts of 5, 2 and 5 bytes: three runs.", [5, 2, 5]),
        copy("copy_last_part_empty", "4", "The last part is empty: a run of body length 0.", [5, 3, 0]),
        copy("copy_empty", "4", "A copy of an upload whose only part is empty.", [0]),
        copy("direct_copy_multipart", "3.7", "A copy in direct mode, of a multipart object.", [5, 3], direct_copy),
    ]


def direct_copies() -> list[dict]:
    source = direct("direct_copy", "bucket", "folder/object.txt")
    plaintext = source.plaintext(5)

    def copy(name, comment, bucket, object_key):
        s = directly_copied(source, name, bucket, object_key)
        return vector(name, "3.7", comment, s.key, s.metadata(5), [s.part(1, plaintext)], released=plaintext)

    newer = copy("direct_copy_second_master_key", "The master key is the one that kek names.", "bucket", "copy")
    newer["key"]["master_keys"] = {"newer": "00" * 32, **newer["key"]["master_keys"]}
    return [
        vector("direct_copy_source", "3.6", "What the next ones are copies of.", source.key, source.metadata(5),
               [source.part(1, plaintext)], released=plaintext),
        copy("direct_copy", "A copy in direct mode: another name, the same body.", "other-bucket", "copy.txt"),
        copy("direct_copy_key_utf8", "The object key enters as its UTF-8.", "bucket", "Grüße/ 100%/+&?/雪.txt"),
        newer,
    ]


def checksums() -> list[dict]:
    def stated(name, comment, algorithm, length=5, source=None):
        s = source or envelope(name)
        plaintext = s.plaintext(length)
        checksum = b64(masked(s.dek, algorithm, CHECKSUMS[algorithm](plaintext)))
        metadata = s.metadata(length, checksum=f"{algorithm}:{checksum}")
        return vector(name, "3.8", comment, s.key, metadata, [s.part(1, plaintext)], released=plaintext)

    copy = directly_copied(direct("checksum_copy", "bucket", "object"), "checksum_copy", "bucket", "copy")
    return [
        *(stated(f"checksum_{name.lower()}", f"A PutObject that stated its {name}.", name) for name in CHECKSUMS),
        stated("checksum_empty_object", "The checksum of no bytes.", "CRC64NVME", 0),
        stated("checksum_direct", "In direct mode.", "SHA256", source=direct("checksum_direct", "bucket", "object")),
        stated("checksum_copy", "A copy keeps the DEK, and so the masked checksum.", "CRC32", source=copy),
    ]


def vectors() -> list[dict]:
    assert (sum(len(p.data) for p in IMPOSSIBLE[2])) % SEALED_SEGMENT == 48
    return singles() + large_multiparts() + small_multiparts() + modes() + multipart_copies() + direct_copies() + checksums()
