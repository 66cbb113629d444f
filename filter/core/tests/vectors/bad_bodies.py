"""Objects with sound metadata whose body, or its length, a reader must reject."""

from good import ALIGNED, SINGLE, UNALIGNED
from sealing import (
    SEALED_SEGMENT, SEGMENT, content_key, copied, envelope, header, metadata_key, parts_of, seal, stream,
)  # fmt: skip
from vector import flipped, vector

# One part of 5 bytes, with len.
ONE = envelope("body")
ONE_PLAINTEXT = ONE.plaintext(5)
ONE_BODY = ONE.part(1, ONE_PLAINTEXT)

# Three parts of 5, 3 and 4 bytes, without len.
THREE = envelope("body_multipart")
P1, P2, P3 = (THREE.plaintext(length, number) for number, length in ((1, 5), (2, 3), (3, 4)))
S1, S2, S3 = (THREE.part(number, plaintext) for number, plaintext in ((1, P1), (2, P2), (3, P3)))

# Three segments of 65,536, 65,536 and 1 bytes, with len.
LONG, LONG_PLAINTEXT, LONG_BODY = SINGLE[131_073]
L1, L2, L3 = (LONG_BODY[i * SEALED_SEGMENT : (i + 1) * SEALED_SEGMENT] for i in range(3))


def one(name, rule, comment, expect, body, released=b"", length=5) -> dict:
    return vector(name, rule, comment, ONE.key, ONE.metadata(length), [body], expect, released)


def three(name, rule, comment, expect, body, released=b"") -> dict:
    return vector(name, rule, comment, THREE.key, THREE.metadata(None), [b"".join(body)], expect, released)


def long(name, rule, comment, expect, body, released_segments=0, length=131_073) -> dict:
    released = LONG_PLAINTEXT[: released_segments * SEGMENT]
    return vector(name, rule, comment, LONG.key, LONG.metadata(length), body, expect, released)


def headers() -> list[dict]:
    """Section 1. Every segment is resealed, so only the header's own rules can tell."""

    def first(name, rule, comment, plaintext=ONE_PLAINTEXT, **fields):
        return one(f"header_{name}", rule, comment, "header", ONE.segment(1, 0, plaintext, **fields))

    def second(name, rule, comment, plaintext=P2, **fields):
        return three(f"{name}", rule, comment, "header", [S1, THREE.segment(2, 0, plaintext, **fields), S3], P1)

    return [
        first("magic_wrong", "1.1", "The magic is S3EQ.", magic=b"S3EQ"),
        first("magic_lower_case", "1.1", "The magic is s3ep.", magic=b"s3ep"),
        first("version_0", "1.1", "The version is 0.", version=0),
        first("version_2", "1.1", "The version is 2.", version=2),
        first("flag_unknown", "1.2", "Bit 1 of the flags is set beside bit 0.", flags=3),
        first("flag_highest", "1.2", "Bit 7 of the flags is set beside bit 0.", flags=0x81),
        first("part_number_0", "1.3", "The part number is 0.", part=0),
        first("part_number_10001", "1.3", "The part number is 10,001.", part=10_001),
        first("part_number_65535", "1.3", "The part number is 65,535.", part=65_535),
        first("length_0", "1.5", "The final segment has no bytes.", b""),
        first("length_65537", "1.5", "len is 65,537; what follows is shorter, and no matter.", length=65_537),
        first("length_4294967295", "1.5", "len is the largest there is: nothing may be reserved for it.", length=2**32 - 1),
        first("length_little_endian", "1.5", "len is 5 in little-endian.", length=5 << 24),
        first("reserved_not_zero", "1.7", "The last byte of the reserved field is 1.", reserved=1),
        first("reserved_first_byte", "1.7", "The first byte of the reserved field is 1.", reserved=1 << 24),
        first("final_flag_cleared_resealed", "1.6", "The only segment, of 5 bytes, is not final.", final=False),
        one("body_of_zeros", "1.1", "The body is 53 bytes of 0.", "header", bytes(53)),
        one("body_is_plaintext", "1.1", "The body was never sealed.", "header", stream("body_is_plaintext", 53)),
        second("middle_segment_short_resealed", "1.6", "Part 2 begins with a short segment that is not final.", final=False),
        second("second_part_magic_wrong", "1.1", "The second part's magic is S3EQ.", magic=b"S3EQ"),
        second("second_part_length_0", "1.5", "The second part's final segment has no bytes.", b""),
        three("garbage_after_last_part", "1.1", "32 bytes of 0 follow the last part.", "header", [S1, S2, S3, bytes(32)],
              P1 + P2 + P3),
        long("segment_border_shifted", "1.1", "A byte was inserted between the first two segments.", "header",
             [L1, b"\0", L2, L3], 1),
    ]


def orders() -> list[dict]:
    def resealed(name, rule, comment, part, index):
        return three(name, rule, comment, "order", [S1, THREE.segment(part, index, P2), S3], P1)

    s, plaintexts, (part_1, part_2, part_3) = UNALIGNED
    first_only, last_only = part_1[:SEALED_SEGMENT], part_1[SEALED_SEGMENT:]

    def two_segment_part(name, comment, body, released=b""):
        return vector(name, "6.4", comment, s.key, s.metadata(None), body, "order", released)

    a, (a1, _), (aligned_1, aligned_2) = ALIGNED
    return [
        long("body_two_segments_swapped", "6.4", "The last two segments are swapped.", "order", [L1, L3, L2], 1),
        long("body_first_two_segments_swapped", "6.3", "The first two segments are swapped.", "order", [L2, L1, L3]),
        long("body_first_segment_dropped", "6.3", "The first segment is missing.", "order", [L2, L3]),
        long("body_middle_segment_dropped", "6.4", "The middle segment is missing.", "order", [L1, L3], 1),
        long("body_segment_repeated", "6.4", "The first segment is there twice.", "order", [L1, L1, L2, L3], 1),
        one("first_segment_index_1_resealed", "6.3", "The only segment says index 1.", "order",
            ONE.segment(1, 1, ONE_PLAINTEXT)),
        one("first_segment_part_2_resealed", "6.3", "The only segment, of a PutObject, says part 2.", "order",
            ONE.segment(2, 0, ONE_PLAINTEXT)),
        one("first_segment_index_highest_resealed", "6.3", "The only segment says index 2^32 - 1.", "order",
            ONE.segment(1, 2**32 - 1, ONE_PLAINTEXT)),
        three("part_order_descending", "6.3", "Parts 3, 2, 1.", "order", [S3, S2, S1]),
        three("part_order_1_3_2", "6.4", "Parts 1, 3, 2.", "order", [S1, S3, S2], P1),
        three("part_repeated", "6.4", "Parts 1, 2, 2, 3.", "order", [S1, S2, S2, S3], P1 + P2),
        three("part_first_dropped", "6.3", "Part 1 is missing.", "order", [S2, S3]),
        three("part_middle_dropped", "6.4", "Part 2 is missing.", "order", [S1, S3], P1),
        three("part_numbers_1_3_7", "6.4", "A writer completed an upload of parts 1, 3 and 7.", "order",
              [S1, THREE.part(3, P2), THREE.part(7, P3)], P1),
        three("part_empty_in_the_middle", "6.4", "Part 2 was empty, so it has no segment, and 3 follows 1.", "order",
              [S1, THREE.part(2, b""), S3], P1),
        three("part_1_again_with_other_bytes", "6.4", "Two attempts at part 1, one after the other.", "order",
              [S1, THREE.part(1, P2)], P1),
        resealed("part_goes_on_after_final_resealed", "6.4", "Index 1 of part 1 follows its final index 0.", 1, 1),
        resealed("part_starts_at_index_1_resealed", "6.4", "Part 2 starts at index 1.", 2, 1),
        resealed("part_goes_back_resealed", "6.4", "Part 1, index 0 follows itself.", 1, 0),
        two_segment_part("part_ends_without_final", "Part 1 lacks its final segment, and part 2 follows.",
                         [first_only, part_2, part_3], plaintexts[0][:SEGMENT]),
        two_segment_part("segment_from_other_part", "Part 2 is followed by part 1's index 1, not by part 3.",
                         [part_1, part_2, last_only, part_3], plaintexts[0] + plaintexts[1]),
        two_segment_part("index_skipped_resealed", "Index 0 of part 1 is followed by index 2.",
                         [first_only, s.segment(1, 2, plaintexts[0][SEGMENT:]), part_2], plaintexts[0][:SEGMENT]),
        vector("final_flag_set_too_early_resealed", "6.4", "Index 0 of part 1 is final, and its index 1 follows.",
               a.key, a.metadata(None), [aligned_1, a.segment(1, 1, a.plaintext(1, 2)), aligned_2], "order", a1),
    ]


def authentications() -> list[dict]:
    def flip(name, comment, at, mask=1):
        [body] = flipped(ONE_BODY, at, mask)
        return one(name, "6.2", comment, "authentication", body)

    def misused(name, comment, **how):
        return one(name, "2.1", comment, "authentication", ONE.segment(1, 0, ONE_PLAINTEXT, **how))

    s, _, (part_1, part_2, part_3) = UNALIGNED
    other = envelope("body_other_object")
    as_part_2 = S3[:6] + S2[6:8] + S3[8:]
    shorter = S1[:12] + (4).to_bytes(4) + S1[16:36] + S1[37:]
    nonce = stream("body/nonce/short_aad", 12)
    return [
        flip("ciphertext_flipped_first_byte", "The lowest bit of the first ciphertext byte is flipped.", 32),
        flip("ciphertext_flipped_last_byte", "The highest bit of the last ciphertext byte is flipped.", 36, 0x80),
        flip("tag_flipped_first_byte", "The lowest bit of the tag's first byte is flipped.", 37),
        flip("tag_flipped_last_byte", "The highest bit of the tag's last byte is flipped.", 52, 0x80),
        flip("nonce_flipped_first_byte", "The lowest bit of the nonce's first byte is flipped.", 16),
        flip("nonce_flipped_last_byte", "The highest bit of the nonce's last byte is flipped.", 27, 0x80),
        one("tag_zeroed", "6.2", "The tag is 0.", "authentication", ONE_BODY[:-16] + bytes(16)),
        one("segment_from_other_object", "6.2", "The same segment of another object.", "authentication",
            other.part(1, other.plaintext(5))),
        misused("header_not_authenticated", "Sealed with an empty AAD.", aad=b""),
        one("reserved_not_authenticated", "2.1", "Sealed with only the header's first 28 bytes as AAD.", "authentication",
            seal(content_key(ONE.dek), ONE_PLAINTEXT, nonce, header(length=5, flags=1, nonce=nonce)[:28], flags=1)),
        misused("sealed_with_dek", "Sealed with the DEK itself.", key=ONE.dek),
        misused("sealed_with_metadata_key", "Sealed with the metadata key.", key=metadata_key(ONE.dek)),
        three("part_renumbered", "6.2", "Part 3 says that it is part 2.", "authentication", [S1, as_part_2], P1),
        three("segment_shortened", "6.2", "len is 4 in place of 5, and one ciphertext byte is missing.", "authentication",
              [shorter, S2, S3]),
        three("tag_flipped_in_last_part", "6.2", "The tag of part 3 is altered.", "authentication",
              [S1, S2, *flipped(S3, len(S3) - 1)], P1 + P2),
        long("ciphertext_flipped_middle_of_first_segment", "6.2", "One bit is flipped.", "authentication",
             flipped(LONG_BODY, 32_768, 0x10)),
        long("tag_flipped_in_second_segment", "6.2", "The last bit of the second tag is flipped.", "authentication",
             flipped(LONG_BODY, 2 * SEALED_SEGMENT - 1), 1),
        long("tag_flipped_in_last_segment", "6.2", "The last bit of the body is flipped.", "authentication",
             flipped(LONG_BODY, len(LONG_BODY.data) - 1), 2),
        vector("final_flag_set", "6.2", "Index 0 of part 1 was made final; index 1 is missing.", s.key, s.metadata(None),
               [*flipped(part_1[:SEALED_SEGMENT], 5), part_2, part_3], "authentication"),
    ]


def truncations() -> list[dict]:
    def cut(name, comment, at):
        return one(name, "6.5", comment, "truncated", ONE_BODY[:at])

    s, plaintexts, (part_1, *_) = UNALIGNED
    return [
        cut("impossible_length_1", "1 byte of body.", 1),
        cut("truncated_in_magic", "3 bytes of body.", 3),
        cut("truncated_in_header", "The body ends after 20 bytes.", 20),
        cut("truncated_before_header_end", "The body ends after 31 bytes.", 31),
        cut("truncated_after_header", "The body ends after its header.", 32),
        cut("truncated_in_ciphertext", "The body ends after 2 of 5 ciphertext bytes.", 34),
        cut("truncated_before_tag", "There is no tag.", 37),
        cut("truncated_in_tag", "The body ends after 8 bytes of the tag.", 45),
        cut("impossible_length_48", "48 bytes of body: all that a segment of 5 bytes needs, but 5.", 48),
        cut("truncated_last_byte", "The last byte of the tag is missing.", 52),
        long("body_last_segment_dropped", "6.5", "The final segment is missing.", "truncated", [L1, L2], 2),
        long("body_last_two_segments_dropped", "6.5", "Only the first segment is there.", "truncated", [L1], 1),
        long("impossible_length_65585", "6.5", "One byte follows the first segment.", "truncated", [LONG_BODY[:65_585]], 1),
        long("impossible_length_65632", "6.5", "48 bytes follow the first segment.", "truncated", [LONG_BODY[:65_632]], 1),
        long("truncated_last_byte_of_long", "6.5", "The last byte is missing.", "truncated", [LONG_BODY[:-1]], 2),
        three("multipart_truncated_in_last_part", "6.5", "The last byte is missing.", "truncated", [S1, S2, S3[:-1]], P1 + P2),
        three("multipart_truncated_in_second_header", "6.5", "Part 2 ends in its header.", "truncated", [S1, S2[:31]], P1),
        three("multipart_trailing_byte", "6.5", "An S follows the last part: a header that ends early.", "truncated",
              [S1, S2, S3, b"S"], P1 + P2 + P3),
        vector("multipart_final_segment_dropped", "6.5", "Part 1 lacks its final segment, and nothing follows.",
               s.key, s.metadata(None), [part_1[:SEALED_SEGMENT]], "truncated", plaintexts[0][:SEGMENT]),
    ]


def trailers() -> list[dict]:
    def after(name, comment, more):
        return one(name, "6.6", comment, "trailing", ONE_BODY + more, ONE_PLAINTEXT)

    other = SINGLE[65_536]
    return [
        after("trailing_byte", "A byte of 0 follows the final segment.", b"\0"),
        after("trailing_header_bytes", "The first 4 bytes of a header follow the final segment.", b"S3EP"),
        after("trailing_segment_after_final", "Index 1 of part 1 follows the final index 0.", ONE.segment(1, 1, b"more")),
        after("trailing_part_on_single", "A sound part 2 follows a PutObject.", ONE.part(2, b"more")),
        after("trailing_copy_of_body", "The body is there twice.", ONE_BODY),
        vector("impossible_length_65585_after_final", "6.6", "A byte follows a final segment of 65,536 bytes.",
               other[0].key, other[0].metadata(65_536), [other[2], b"\0"], "trailing", other[1]),
        one("len_0_with_body", "6.6", "len is 0, and there is a sound segment.", "trailing", ONE_BODY, length=0),
        one("len_0_with_byte", "6.6", "len is 0, and there is one byte.", "trailing", b"S", length=0),
    ]


def lengths() -> list[dict]:
    """Sound bodies under a `len` that is not theirs, and whose MAC verifies."""
    empty = envelope("body_empty")
    return [
        vector("empty_object_len_1", "6.6", "len is 1, and there is no body.", empty.key, empty.metadata(1), [], "length"),
        one("len_too_small", "6.6", "len is 4, the body has 5.", "length", ONE_BODY, length=4),
        one("len_too_large", "6.6", "len is 6, the body has 5.", "length", ONE_BODY, length=6),
        one("len_highest", "6.6", "len is 2^64 - 1: section 5's formula does not fit 64 bits.", "length", ONE_BODY,
            length=2**64 - 1),
        one("len_plus_2_to_the_32", "6.6", "len is 2^32 + 5, which is 5 for a reader with 32 bits.", "length", ONE_BODY,
            length=2**32 + 5),
        long("len_one_segment_of_three", "6.6", "len is 65,536, but the first segment is not final.", "length",
             [LONG_BODY], 0, 65_536),
        long("len_inside_second_segment", "6.6", "len is 65,537, but the second segment is full.", "length",
             [LONG_BODY], 1, 65_537),
        long("len_two_segments_of_three", "6.6", "len is 131,072, but the second segment is not final.", "length",
             [LONG_BODY], 1, 131_072),
        long("len_in_last_segment", "6.6", "len is 131,074, the final segment comes one byte early.", "length",
             [LONG_BODY], 2, 131_074),
        long("len_a_segment_more", "6.6", "len is 196,609, the final segment comes a segment early.", "length",
             [LONG_BODY], 2, 196_609),
    ]


def copies() -> list[dict]:
    """Copies of multipart objects, whose `parts` are under a MAC that verifies."""
    s = copied(THREE, "body_copy")

    def copy(name, comment, expect, body, released=b"", parts=(S1, S2, S3), rule="6.8"):
        metadata = s.metadata(None, parts=parts_of(parts))
        return vector(name, rule, comment, s.key, metadata, [b"".join(body)], expect, released)

    fourth = THREE.plaintext(2, 4)
    return [
        copy("copy_last_part_dropped", "The last part is missing, which parts tells.", "length", [S1, S2], P1 + P2),
        copy("copy_all_parts_dropped", "There is no body.", "length", []),
        copy("copy_part_appended", "A sound part 4 follows the three of parts.", "length",
             [S1, S2, S3, THREE.part(4, fourth)], P1 + P2 + P3),
        copy("copy_parts_one_less", "parts has the first two of three.", "length", [S1, S2, S3], P1 + P2, (S1, S2)),
        copy("copy_parts_sum_too_small", "parts says that the last part has a byte less.", "length", [S1, S2, S3], P1 + P2,
             (S1, S2, S3[:-1])),
        copy("copy_parts_sum_too_large", "parts says that the last part has a byte more.", "length", [S1, S2, S3],
             P1 + P2 + P3, (S1, S2, S3 + b"+")),
        copy("copy_parts_empty", "parts says that the object is empty.", "length", [S1, S2, S3], b"", [b""]),
        copy("copy_truncated_in_last_part", "The last byte is missing.", "truncated", [S1, S2, S3[:-1]], P1 + P2,
             rule="6.5"),
        copy("copy_part_middle_dropped", "Part 2 is missing.", "order", [S1, S3], P1, rule="6.4"),
    ]


def vectors() -> list[dict]:
    return headers() + orders() + authentications() + truncations() + trailers() + lengths() + copies()
