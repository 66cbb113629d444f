"""The checksums of FORMAT.md 4.2, by S3's names."""

import hashlib


def crc(bits: int, reflected: int, data: bytes) -> bytes:
    """One bit at a time; all of S3's begin with ones, end with their complement, and are reflected."""
    rest = ones = 2**bits - 1
    for byte in data:
        rest ^= byte
        for _ in range(8):
            rest = rest >> 1 ^ (reflected if rest & 1 else 0)
    return (rest ^ ones).to_bytes(bits // 8)


CHECKSUMS = {
    "CRC32": lambda data: crc(32, 0xEDB88320, data),
    "CRC32C": lambda data: crc(32, 0x82F63B78, data),
    "CRC64NVME": lambda data: crc(64, 0x9A6C9329AC4BC9B5, data),
    "MD5": lambda data: hashlib.md5(data).digest(),
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
    "SHA512": lambda data: hashlib.sha512(data).digest(),
}
assert [CHECKSUMS[name](b"123456789").hex() for name in ("CRC32", "CRC32C", "CRC64NVME")] == [
    "cbf43926", "e3069283", "ae8b14860a799888",
]  # fmt: skip
