"""read.py's judgement on every vector of objects.json."""

import hashlib
from pathlib import Path

from read import PREFIX, Rejected, need, open_metadata, segments

HERE = Path(__file__).parent


def assemble(pieces: list[dict]) -> bytes:
    def piece(p: dict) -> bytes:
        return bytes.fromhex(p["hex"]) if "hex" in p else (HERE / p["file"]).read_bytes()[p["start"] : p["end"]]

    return b"".join(piece(p) for p in pieces)


def judge(vector: dict, length_known: bool = False) -> tuple[str, bytes]:
    """What the reader says and what it released; `length_known`: it also was told the body's length (FORMAT 6.7)."""
    released, body = b"", assemble(vector["body"])
    try:
        dek, length, parts = open_metadata(vector["metadata"], vector["key"])
        if length_known and length is not None:
            need(len(body) == length + 48 * -(-length // 65_536), "length")
        if length_known and parts is not None:
            need(len(body) == sum(parts), "length")
        for plaintext in segments(body, dek, length, parts):
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
    says_length = any(name in (PREFIX + "len", PREFIX + "parts") for name, _ in vector["metadata"])
    shows_early = says_length and verdict in ("truncated", "trailing", "length")
    allowed = [("length", b"")] if shows_early else [("length", b""), (verdict, released)]
    if (known, early) not in (allowed[1:] if verdict in ("ok", "metadata") else allowed):
        complaints.append(f"with the body's length known: {known}")
    return complaints
