"""read.py's judgement on the tables."""

import base64
import hmac
import json
import re
from pathlib import Path

from read import Rejected, check_header, hkdf, unmasked, unseal, unwrapped


def load(name: str):
    return json.loads((Path(__file__).parent / f"{name}.json").read_text())


def keys_hold() -> bool:
    table, raw = load("keys"), bytes.fromhex
    return (
        all(hkdf(raw(r["dek"]), b"s3ep/v1 content") == raw(r["content_key"]) for r in table["dek"])
        and all(hkdf(raw(r["dek"]), b"s3ep/v1 metadata") == raw(r["metadata_key"]) for r in table["dek"])
        and all(raw(r["bytes"]) == b"\0".join([r["bucket"].encode(), r["object_key"].encode()]) for r in table["context"])
        and all(
            hkdf(raw(r["master_key"]), b"\0".join([b"s3ep/v1 direct", r["bucket"].encode(), r["object_key"].encode()]),
                 raw(r["salt"])) == raw(r["dek"])
            for r in table["direct"]
        )
        and all(
            unwrapped(raw(r["master_key"]), raw(r["wrapped"]), b"\0".join([r["bucket"].encode(), r["object_key"].encode()]))
            == raw(r["dek"])
            for r in table["direct_wrap"]
        )
        and all(unmasked(raw(r["dek"]), r["algorithm"], raw(r["masked"])) == raw(r["checksum"]) for r in table["checksum"])
    )  # fmt: skip


def mac_holds(row: dict) -> bool:
    lines = [f"{name}={row[name]}" for name in ("alg", "dek", "kek", "len") if row[name] is not None]
    tag = hmac.digest(hkdf(bytes.fromhex(row["data_key"]), b"s3ep/v1 metadata"), row["message"].encode(), "sha256")
    return row["message"].splitlines() == lines and row["message"][-1] == "\n" and tag == base64.b64decode(row["mac"])


def segment_holds(row: dict) -> bool:
    segment, key = bytes.fromhex(row["segment"]), bytes.fromhex(row["content_key"])
    plaintext = unseal(key, segment[16:28], segment[32:], segment[:32]).hex()
    said = (row["final"], row["part"], row["index"], len(row["plaintext"]) // 2)
    return check_header(segment[:32]) == said and plaintext == row["plaintext"] and segment[16:28].hex() == row["nonce"]


def counted(body: int) -> int | None:
    """The plaintext length by counting segments, not by the formula; None where none is possible."""
    full, rest = divmod(body, 65_584)
    return None if 0 < rest <= 48 else 65_536 * full + max(rest - 48, 0)


def layout_holds() -> bool:
    table = load("layout")
    return all(counted(r["body"]) == r["plaintext"] for r in table["sealed_length"]) and all(
        counted(body) is None for body in table["impossible_body_lengths"]
    ) and all(range_holds(r) for r in table["ranges"])  # fmt: skip


def range_holds(r: dict) -> bool:
    """The body bytes hold whole segments whose plaintext, cut by skip and take, is the range."""
    start, got = r["first_segment"] * 65_536, counted(r["body_last"] + 1 - r["body_first"])
    ends_well = r["last_segment"] * 65_536 <= r["last"] < min((r["last_segment"] + 1) * 65_536, r["plaintext_length"])
    return (
        r["body_first"] == r["first_segment"] * 65_584
        and start + r["skip"] == r["first"]
        and r["take"] == r["last"] - r["first"] + 1
        and start + got == min((r["last_segment"] + 1) * 65_536, r["plaintext_length"])
        and ends_well
    )


def unencrypted_holds(row: dict) -> bool:
    head = bytes.fromhex(row["body"])[:32]
    try:
        refused = len(head) == 32 and check_header(head)[1:3] == (1, 0)
    except Rejected:
        refused = False
    return refused == row["refused"]


def upload_sealable(row: dict) -> bool:
    """Whether the UploadId is one of ours (section 8), and then says what the row says."""
    upstream, _, text = row["upload_id"].rpartition(".")
    if re.fullmatch("[A-Za-z0-9_-]+", text) is None or len(text) % 4 == 1:
        return False
    token = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(token) < 34 or base64.urlsafe_b64encode(token).decode().rstrip("=") != text:
        return False
    kek, dek = token[34 : 35 + token[33]], token[35 + token[33] :]
    in_limits = token[0] == 1 and re.fullmatch(rb"[\x21-\x7e]{1,256}", kek) is not None and 1 <= len(dek) <= 1024
    fields = [b"s3ep/v1 upload", upstream.encode(), kek, dek]
    key = hkdf(bytes.fromhex(row["data_key"]), b"s3ep/v1 metadata")
    mac = hmac.digest(key, b"".join(len(field).to_bytes(8) + field for field in fields), "sha256")
    return in_limits and mac == token[1:33] and (upstream, kek.decode(), base64.b64encode(dek).decode()) == (
        row["upstream"], row["kek"], row["dek"])  # fmt: skip


def upload_holds(row: dict) -> bool:
    return upload_sealable(row) == row["holds"]


def complaints() -> list[str]:
    rows = [("macs", mac_holds), ("segments", segment_holds), ("unencrypted", unencrypted_holds),
            ("uploads", upload_holds)]  # fmt: skip
    found = [f"{table}: {row['name']} does not hold" for table, holds in rows for row in load(table) if not holds(row)]
    return found + [f"{name}: does not hold" for name, holds in (("keys", keys_hold), ("layout", layout_holds)) if not holds()]
