"""The writer's half of FORMAT.md: keys, segments, bodies, metadata. read.py shares no code with it."""

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass, field, replace
from itertools import groupby

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SEED = b"s3ep/v1 vectors"
SEGMENT = 65_536
SEALED_SEGMENT = SEGMENT + 48
ALG = "AES256-GCM-SEG64K"
AUTHENTICATED = ("alg", "dek", "kek", "len", "parts", "checksum")
KEK = "aws-kms://arn:aws:kms:eu-central-1:111122223333:key/demo"


def stream(label: str, length: int) -> bytes:
    """All randomness and every plaintext: block i is SHA-256(seed, 0, label, 0, i as u64)."""
    prefix = SEED + b"\0" + label.encode() + b"\0"
    blocks = (length + 31) // 32
    return b"".join(hashlib.sha256(prefix + struct.pack(">Q", i)).digest() for i in range(blocks))[:length]


def hkdf(ikm: bytes, info: bytes, salt: bytes | None = None, length: int = 32) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(ikm)


def content_key(dek: bytes) -> bytes:
    return hkdf(dek, b"s3ep/v1 content")


def metadata_key(dek: bytes) -> bytes:
    return hkdf(dek, b"s3ep/v1 metadata")


def direct_dek(master_key: bytes, salt: bytes, bucket: str, object_key: str) -> bytes:
    return hkdf(master_key, b"s3ep/v1 direct\0" + context(bucket, object_key), salt)


def direct_wrap(master_key: bytes, nonce: bytes, dek: bytes, bucket: str, object_key: str) -> bytes:
    return nonce + AESGCM(hkdf(master_key, b"s3ep/v1 direct wrap")).encrypt(nonce, dek, context(bucket, object_key))


def masked(dek: bytes, algorithm: str, checksum: bytes) -> bytes:
    mask = hkdf(dek, b"s3ep/v1 checksum\0" + algorithm.encode(), length=len(checksum))
    return bytes(a ^ b for a, b in zip(checksum, mask, strict=True))


def context(bucket: str, object_key: str) -> bytes:
    return bucket.encode() + b"\0" + object_key.encode()


def header(*, magic=b"S3EP", version=1, flags=0, part=1, index=0, length=0, nonce=bytes(12), reserved=0) -> bytes:
    return struct.pack(">4sBBHII12sI", magic, version, flags, part, index, length, nonce, reserved)


def seal(key: bytes, plaintext: bytes, nonce: bytes, aad: bytes | None = None, **fields) -> bytes:
    """One segment. `fields` override the header before it is authenticated; `aad` only what is authenticated."""
    head = header(**{"length": len(plaintext), "nonce": nonce, **fields})
    return head + AESGCM(key).encrypt(nonce, plaintext, head if aad is None else aad)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def mac_message(fields: dict[str, str]) -> bytes:
    return "".join(f"{name}={fields[name]}\n" for name in AUTHENTICATED if name in fields).encode()


def mac(dek: bytes, fields: dict[str, str]) -> bytes:
    return hmac.digest(metadata_key(dek), mac_message(fields), "sha256")


def upload_mac(dek: bytes, upstream: str, kek: str, wrapped: bytes) -> bytes:
    fields = [b"s3ep/v1 upload", upstream.encode(), kek.encode(), wrapped]
    return hmac.digest(metadata_key(dek), b"".join(struct.pack(">Q", len(f)) + f for f in fields), "sha256")


def upload_token(mac: bytes, kek: str, wrapped: bytes, version: int = 1, kek_length: int | None = None) -> bytes:
    return bytes([version]) + mac + bytes([len(kek) - 1 if kek_length is None else kek_length]) + kek.encode() + wrapped


@dataclass(frozen=True)
class Sealed:
    """An object in the making. Its label is the source of its keys, nonces and plaintext."""

    label: str
    dek: bytes
    dek_header: bytes
    kek: str
    key: dict = field(hash=False)

    def plaintext(self, length: int, part: int = 1) -> bytes:
        return stream(f"{self.label}/plaintext/{part}", length)

    def segment(self, part: int, index: int, plaintext: bytes, /, final: bool = True, key=None, **fields) -> bytes:
        """A segment sealed with the right key, whatever its header then says ("resealed" in the vectors' names)."""
        nonce = stream(f"{self.label}/nonce/{part}/{index}/{final}/{sorted(fields.items())}/{plaintext.hex()}", 12)
        fields = {"part": part, "index": index, "flags": int(final), **fields}
        return seal(key or content_key(self.dek), plaintext, nonce, **fields)

    def part(self, number: int, plaintext: bytes) -> bytes:
        starts = range(0, len(plaintext), SEGMENT)
        return b"".join(
            self.segment(number, i, plaintext[at : at + SEGMENT], final=at + SEGMENT >= len(plaintext))
            for i, at in enumerate(starts)
        )

    def metadata(self, length: int | str | None, **changes: str) -> list[list[str]]:
        """The five headers (four for multipart: length None), with `changes` and additions made before the MAC."""
        fields = {"alg": ALG, "dek": b64(self.dek_header), "kek": self.kek}
        if length is not None:
            fields["len"] = str(length)
        fields |= changes
        fields["mac"] = b64(mac(self.dek, fields))
        return [[f"x-amz-meta-s3ep-{name}", value] for name, value in fields.items()]


def envelope(label: str, wrapped_length: int = 77, kek: str = KEK) -> Sealed:
    dek = stream(f"{label}/dek", 32)
    return Sealed(label, dek, stream(f"{label}/wrapped", wrapped_length), kek, {"dek": dek.hex()})


def direct(label: str, bucket: str, object_key: str, salt_length: int = 32) -> Sealed:
    master_key, salt = stream("direct/master-key/demo", 32), stream(f"{label}/salt", salt_length)
    key = {"master_keys": {"demo": master_key.hex()}, "bucket": bucket, "object_key": object_key}
    return Sealed(label, direct_dek(master_key, salt, bucket, object_key), salt, "direct:demo", key)


def parts_of(bodies: list) -> str:
    """The value of `parts` for parts with these bodies."""
    return ",".join(f"{len(list(run))}x{length}" for length, run in groupby(map(len, bodies)))


def copied(source: Sealed, label: str) -> Sealed:
    """Its copy in envelope mode (FORMAT 3.5): the same DEK, wrapped again."""
    return replace(source, dek_header=stream(f"{label}/wrapped", 77))


def directly_copied(source: Sealed, label: str, bucket: str, object_key: str) -> Sealed:
    """Its copy in direct mode (FORMAT 3.7): the same DEK, wrapped by the master key."""
    master_key, nonce = stream("direct/master-key/demo", 32), stream(f"{label}/nonce", 12)
    key = {"master_keys": {"demo": master_key.hex()}, "bucket": bucket, "object_key": object_key}
    wrapped = direct_wrap(master_key, nonce, source.dek, bucket, object_key)
    return replace(source, dek_header=wrapped, kek="direct-wrap:demo", key=key)
