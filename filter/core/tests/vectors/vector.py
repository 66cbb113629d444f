"""What a vector of objects.json is made of: a body in pieces, and the expectation."""

import hashlib
from dataclasses import dataclass

INLINE_LIMIT = 1024


@dataclass(frozen=True)
class Bytes:
    """A body. From INLINE_LIMIT on it lives in a .bin file, which vectors then share by slices."""

    data: bytes
    file: str | None = None
    start: int = 0

    def __getitem__(self, piece: slice) -> "Bytes":
        start, end, _ = piece.indices(len(self.data))
        return Bytes(self.data[start:end], self.file, self.start + start)

    def __len__(self) -> int:
        return len(self.data)

    def json(self) -> dict:
        if self.file is None:
            assert len(self.data) < INLINE_LIMIT
            return {"hex": self.data.hex()}
        return {"file": self.file, "start": self.start, "end": self.start + len(self.data)}


def flipped(body: "Bytes | bytes", at: int, mask: int = 1) -> list:
    """The body with one byte changed."""
    body = body if isinstance(body, Bytes) else Bytes(body)
    changed = bytes([body.data[at] ^ mask])
    if body.file is None:
        return [body.data[:at] + changed + body.data[at + 1 :]]
    return [body[:at], changed, body[at + 1 :]]


def vector(name, rule, comment, key, metadata, body, expect="ok", released=b"") -> dict:
    pieces = [piece if isinstance(piece, Bytes) else Bytes(piece) for piece in body]
    return {
        "name": name,
        "rule": rule,
        "comment": comment,
        "key": key,
        "metadata": metadata,
        "body": [piece.json() for piece in pieces if piece.data],
        "expect": expect,
        "released": {"length": len(released), "sha256": hashlib.sha256(released).hexdigest()},
    }
