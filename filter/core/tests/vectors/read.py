"""A reader of FORMAT.md, written apart from the writer: the way out, with nothing but that page."""

import base64
import hmac
import itertools
import re
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

PREFIX = "x-amz-meta-s3ep-"
AUTHENTICATED = ("alg", "dek", "kek", "len", "parts", "checksum")
CHECKSUM_LENGTHS = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "MD5": 16, "SHA1": 20, "SHA256": 32, "SHA512": 64}


class Rejected(Exception):
    """The error class as `expect` names it."""


def need(condition: bool, error: str) -> None:
    if not condition:
        raise Rejected(error)


def hkdf(ikm: bytes, info: bytes, salt: bytes = bytes(32), length: int = 32) -> bytes:
    """RFC 5869."""
    key, blocks = hmac.digest(salt, ikm, "sha256"), [b""]
    while 32 * len(blocks) - 32 < length:
        blocks.append(hmac.digest(key, blocks[-1] + info + bytes([len(blocks)]), "sha256"))
    return b"".join(blocks)[:length]


def unbase64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Rejected("metadata") from None
    need(base64.b64encode(data).decode() == text, "metadata")  # FORMAT 4: one way to write it
    return data


def open_metadata(headers: list[list[str]], key: dict) -> tuple[bytes, int | None, list[int] | None]:
    """The DEK, `len` and `parts`, once the MAC is checked (FORMAT 4)."""
    names = [name.removeprefix(PREFIX) for name, _ in headers]
    fields = dict(zip(names, (value for _, value in headers)))
    need(len(names) == len(fields) and not {"len", "parts"} <= set(names), "metadata")
    need(set(names) - {"len", "parts", "checksum"} == {"alg", "dek", "kek", "mac"}, "metadata")
    need(fields["alg"] == "AES256-GCM-SEG64K", "metadata")
    need(re.fullmatch(r"[\x21-\x7e]{1,256}", fields["kek"]) is not None, "metadata")
    wrapped = unbase64(fields["dek"])
    need(1 <= len(wrapped) <= 1024, "metadata")
    dek = data_key(key, wrapped, fields["kek"])
    lines = "".join(f"{name}={fields[name]}\n" for name in AUTHENTICATED if name in fields)
    tag = hmac.digest(hkdf(dek, b"s3ep/v1 metadata"), lines.encode(), "sha256")
    need(hmac.compare_digest(tag, unbase64(fields["mac"])), "metadata")
    readers = {"len": number, "parts": part_lengths, "checksum": check_checksum}
    length, parts, _ = (read(fields[name]) if name in fields else None for name, read in readers.items())
    return dek, length, parts


def check_checksum(text: str) -> None:
    algorithm, _, masked = text.partition(":")
    need(CHECKSUM_LENGTHS.get(algorithm) == len(unbase64(masked)), "metadata")


def number(text: str) -> int:
    need(re.fullmatch(r"0|[1-9][0-9]{0,19}", text) is not None and int(text) < 2**64, "metadata")
    return int(text)


def part_lengths(text: str) -> list[int]:
    """The body length of each part."""
    need(all(run.count("x") == 1 for run in text.split(",")), "metadata")
    runs = [tuple(map(number, run.split("x"))) for run in text.split(",")]
    need(all(count > 0 for count, _ in runs) and sum(count for count, _ in runs) <= 10_000, "metadata")
    need(sum(count * length for count, length in runs) < 2**64, "metadata")
    need(all(one != other for (_, one), (_, other) in itertools.pairwise(runs)), "metadata")
    need(all(not 1 <= length % 65_584 <= 48 for _, length in runs), "metadata")  # FORMAT 5.1
    return [length for count, length in runs for _ in range(count)]


def data_key(key: dict, wrapped: bytes, kek: str) -> bytes:
    if "dek" in key:
        dek = bytes.fromhex(key["dek"])
        need(len(dek) == 32, "metadata")
        return dek
    mode, _, name = kek.partition(":")
    lengths = {"direct": 32, "direct-wrap": 60}
    need(mode in lengths and name in key["master_keys"] and len(wrapped) == lengths[mode], "metadata")
    master_key = bytes.fromhex(key["master_keys"][name])
    context = key["bucket"].encode() + b"\0" + key["object_key"].encode()
    if mode == "direct":
        return hkdf(master_key, b"s3ep/v1 direct\0" + context, wrapped)
    return unwrapped(master_key, wrapped, context)


def unwrapped(master_key: bytes, wrapped: bytes, context: bytes) -> bytes:
    return unseal(hkdf(master_key, b"s3ep/v1 direct wrap"), wrapped[:12], wrapped[12:], context, "metadata")


def unmasked(dek: bytes, algorithm: str, checksum: bytes) -> bytes:
    mask = hkdf(dek, b"s3ep/v1 checksum\0" + algorithm.encode(), length=len(checksum))
    return bytes(a ^ b for a, b in zip(checksum, mask))


def segments(body: bytes, dek: bytes, length: int | None, parts: list[int] | None):
    """Each segment's plaintext, in order, as soon as it may be released (FORMAT 6)."""
    content_key = hkdf(dek, b"s3ep/v1 content")
    whole = length if parts is None else sum(m - 48 * -(-m // 65_584) for m in parts)
    at, total, expected, done = 0, 0, (1, 0), length == 0
    final = True
    while at < len(body):
        need(not done, "trailing")
        head = body[at : at + 32]
        need(len(head) == 32, "truncated")
        final, part, index, size = check_header(head)
        need((part, index) == expected, "order")
        if length is not None:  # with len, section 5 says how long each segment is, and which is the final one
            need(size == min(65_536, length - total) and final == (total + size == length), "length")
        need(whole is None or total + size <= whole, "length")
        need(len(body) >= at + 48 + size, "truncated")
        yield unseal(content_key, head[16:28], body[at + 32 : at + 48 + size], head)
        at, total = at + 48 + size, total + size
        expected = (part + 1, 0) if final else (part, index + 1)
        done = final and length is not None
    need(final, "truncated")
    need(whole in (None, total), "length")


def check_header(head: bytes) -> tuple[bool, int, int, int]:
    magic, version, flags, part, index, size, _, reserved = struct.unpack(">4sBBHII12sI", head)
    need(magic == b"S3EP" and version == 1 and flags in (0, 1) and reserved == 0, "header")
    need(1 <= part <= 10_000 and 1 <= size <= 65_536, "header")
    need(flags == 1 or size == 65_536, "header")
    return flags == 1, part, index, size


def unseal(key: bytes, nonce: bytes, sealed: bytes, aad: bytes, error: str = "authentication") -> bytes:
    decryptor = Cipher(algorithms.AES(key), modes.GCM(nonce, sealed[-16:])).decryptor()
    decryptor.authenticate_additional_data(aad)
    try:
        return decryptor.update(sealed[:-16]) + decryptor.finalize()
    except InvalidTag:
        raise Rejected(error) from None
