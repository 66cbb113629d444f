"""A reader of FORMAT.md, written apart from the writer: it judges every vector of objects.json."""

import base64
import hashlib
import hmac
import re
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

HERE = Path(__file__).parent
PREFIX = "x-amz-meta-s3ep-"


class Rejected(Exception):
    """The error class as `expect` names it."""


def need(condition: bool, error: str) -> None:
    if not condition:
        raise Rejected(error)


def hkdf(ikm: bytes, info: bytes, salt: bytes = bytes(32)) -> bytes:
    """RFC 5869, whose second step is one block for 32 bytes."""
    return hmac.digest(hmac.digest(salt, ikm, "sha256"), info + b"\x01", "sha256")


def unbase64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Rejected("metadata") from None
    need(base64.b64encode(data).decode() == text, "metadata")  # FORMAT 4: one way to write it
    return data


def open_metadata(headers: list[list[str]], key: dict) -> tuple[bytes, int | None]:
    """The DEK and `len`, once the MAC is checked (FORMAT 4)."""
    names = [name.removeprefix(PREFIX) for name, _ in headers]
    fields = dict(zip(names, (value for _, value in headers)))
    need(sorted(n for n in names if n != "len") == ["alg", "dek", "kek", "mac"] and names.count("len") < 2, "metadata")
    need(fields["alg"] == "AES256-GCM-SEG64K", "metadata")
    need(re.fullmatch(r"[\x21-\x7e]{1,256}", fields["kek"]) is not None, "metadata")
    wrapped = unbase64(fields["dek"])
    need(1 <= len(wrapped) <= 1024, "metadata")
    dek = data_key(key, wrapped, fields["kek"])
    lines = "".join(f"{name}={fields[name]}\n" for name in ("alg", "dek", "kek", "len") if name in fields)
    tag = hmac.digest(hkdf(dek, b"s3ep/v1 metadata"), lines.encode(), "sha256")
    need(hmac.compare_digest(tag, unbase64(fields["mac"])), "metadata")
    if "len" not in fields:
        return dek, None
    need(re.fullmatch(r"0|[1-9][0-9]{0,19}", fields["len"]) is not None and int(fields["len"]) < 2**64, "metadata")
    return dek, int(fields["len"])


def data_key(key: dict, wrapped: bytes, kek: str) -> bytes:
    if "dek" in key:
        dek = bytes.fromhex(key["dek"])
        need(len(dek) == 32, "metadata")
        return dek
    master_key = key["master_keys"].get(kek.removeprefix("direct:"))
    need(kek.startswith("direct:") and master_key is not None and len(wrapped) == 32, "metadata")
    info = b"s3ep/v1 direct\0" + key["bucket"].encode() + b"\0" + key["object_key"].encode()
    return hkdf(bytes.fromhex(master_key), info, wrapped)


def segments(body: bytes, dek: bytes, length: int | None):
    """Each segment's plaintext, in order, as soon as it may be released (FORMAT 6)."""
    content_key = hkdf(dek, b"s3ep/v1 content")
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
        need(len(body) >= at + 48 + size, "truncated")
        yield unseal(content_key, head, body[at + 32 : at + 48 + size])
        at, total = at + 48 + size, total + size
        expected = (part + 1, 0) if final else (part, index + 1)
        done = final and length is not None
    need(final, "truncated")
    need(length in (None, total), "length")


def check_header(head: bytes) -> tuple[bool, int, int, int]:
    def number(start: int, end: int) -> int:
        return int.from_bytes(head[start:end])

    flags, part, size = head[5], number(6, 8), number(12, 16)
    need(head[:5] == b"S3EP\x01" and flags in (0, 1) and number(28, 32) == 0, "header")
    need(1 <= part <= 10_000 and 1 <= size <= 65_536, "header")
    need(flags == 1 or size == 65_536, "header")
    return flags == 1, part, number(8, 12), size


def unseal(content_key: bytes, head: bytes, sealed: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(content_key), modes.GCM(head[16:28], sealed[-16:])).decryptor()
    decryptor.authenticate_additional_data(head)
    try:
        return decryptor.update(sealed[:-16]) + decryptor.finalize()
    except InvalidTag:
        raise Rejected("authentication") from None


def assemble(pieces: list[dict]) -> bytes:
    def piece(p: dict) -> bytes:
        return bytes.fromhex(p["hex"]) if "hex" in p else (HERE / p["file"]).read_bytes()[p["start"] : p["end"]]

    return b"".join(piece(p) for p in pieces)


def judge(vector: dict, length_known: bool = False) -> tuple[str, bytes]:
    """What the reader says and what it released; `length_known`: it also was told the body's length (FORMAT 6.7)."""
    released, body = b"", assemble(vector["body"])
    try:
        dek, length = open_metadata(vector["metadata"], vector["key"])
        if length_known and length is not None:
            need(len(body) == length + 48 * -(-length // 65_536), "length")
        for plaintext in segments(body, dek, length):
            released += plaintext
    except Rejected as error:
        return str(error), released
    return "ok", released


def check(vector: dict) -> list[str]:
    """The complaints about one vector."""
    verdict, released = judge(vector)
    complaints = []
    if verdict != vector["expect"]:
        complaints.append(f"{verdict} in place of {vector['expect']}")
    if {"length": len(released), "sha256": hashlib.sha256(released).hexdigest()} != vector["released"]:
        complaints.append(f"released {len(released)} bytes in place of {vector['released']['length']}, or others")
    known, early = judge(vector, length_known=True)
    has_len = any(name == PREFIX + "len" for name, _ in vector["metadata"])
    shows_early = has_len and verdict in ("truncated", "trailing", "length")
    allowed = [("length", b"")] if shows_early else [("length", b""), (verdict, released)]
    if (known, early) not in (allowed[1:] if verdict in ("ok", "metadata") else allowed):
        complaints.append(f"with the body's length known: {known}")
    return complaints
