"""Google's own Tink (PyPI `tink`, written with 1.16.1) as the other side of kms-shim's keyset tests.

    tink_oracle.py vectors > tink_keyset.json     the committed vectors: fixed keysets, fresh nonces
    tink_oracle.py keyset                         a new AES256_GCM keyset
    tink_oracle.py wrap | unwrap                  {"keyset", "bucket", "key", "dek" | "wrapped"} in, {"wrapped" | "dek"} out
    tink_oracle.py encrypt-keyset | decrypt-keyset  {"kek", "keyset"} in, both keysets' JSON; the keyset in its other form out
    tink_oracle.py --check                        exit status 0 if Tink is installed

Binary values are standard base64.
"""

import base64
import hashlib
import json
import sys

import tink
from tink import aead, json_proto_keyset_format, secret_key_access

TYPE_URL = "type.googleapis.com/google.crypto.tink.AesGcmKey"


def b64(data):
    return base64.b64encode(data).decode()


def key(key_id, prefix, status="ENABLED", size=32):
    material = hashlib.sha256(b"s3ep test key %d" % key_id).digest()[:size]
    # The AesGcmKey protobuf: field 3 (key_value), wire type 2, its length, its bytes.
    value = bytes([3 << 3 | 2, size]) + material
    return {
        "keyData": {"typeUrl": TYPE_URL, "value": b64(value), "keyMaterialType": "SYMMETRIC"},
        "status": status,
        "keyId": key_id,
        "outputPrefixType": prefix,
    }


def keyset(primary, *keys):
    return {"primaryKeyId": primary, "key": list(keys)}


def primitive(keyset_json):
    handle = json_proto_keyset_format.parse(keyset_json, secret_key_access.TOKEN)
    return handle.primitive(aead.Aead)


def context(bucket, object_key):
    return bucket.encode() + b"\0" + object_key.encode()


def vector(name, reading, writing, dek=bytes(range(32)), bucket="photos", object_key="2024/ü.jpg"):
    """A DEK wrapped by the keyset `writing`, to be unwrapped with the keyset `reading`."""
    aad = context(bucket, object_key)
    wrapped = primitive(json.dumps(writing)).encrypt(dek, aad)
    try:
        opens = primitive(json.dumps(reading)).decrypt(wrapped, aad) == dek
    except tink.TinkError:
        opens = False
    return {
        "name": name,
        "keyset": reading,
        "bucket": bucket,
        "key": object_key,
        "dek": b64(dek),
        "wrapped": b64(wrapped),
        "opens": opens,
    }


def vectors():
    old, new = 0x01020304, 0xFEDCBA98
    one = keyset(new, key(new, "TINK"))
    old_alone = keyset(old, key(old, "TINK"))
    rotated = keyset(new, key(old, "TINK"), key(new, "TINK"))
    raw = keyset(old, key(old, "RAW"))
    mixed = keyset(new, key(old, "RAW"), key(new, "TINK"))
    yield vector("tink", one, one)
    yield vector("raw", raw, raw)
    yield vector("crunchy", *[keyset(new, key(new, "CRUNCHY"))] * 2)
    yield vector("legacy", *[keyset(new, key(new, "LEGACY"))] * 2)
    yield vector("dek_of_one_byte", one, one, dek=b"\x00")
    yield vector("longest_names", one, one, bucket="b" * 63, object_key="ü" * 512)
    yield vector("object_key_with_nul", one, one, object_key="a\0b")
    yield vector("rotated_reads_old", rotated, old_alone)
    yield vector("rotated_reads_new", rotated, one)
    yield vector("mixed_reads_raw", mixed, raw)
    yield vector("mixed_reads_tink", mixed, one)
    yield vector("two_raw_keys_reads_second", keyset(new, key(new, "RAW"), key(old, "RAW")), raw)
    yield vector("old_key_disabled", keyset(new, key(old, "TINK", "DISABLED"), key(new, "TINK")), old_alone)
    yield vector("old_key_gone", one, old_alone)
    yield vector("same_id_other_prefix_type", keyset(new, key(new, "CRUNCHY")), one)
    yield vector("same_key_but_raw", keyset(new, key(new, "RAW")), one)


def serve(command):
    request = json.load(sys.stdin)
    aad = context(request["bucket"], request["key"])
    keys = primitive(request["keyset"])
    if command == "wrap":
        return {"wrapped": b64(keys.encrypt(base64.b64decode(request["dek"]), aad))}
    return {"dek": b64(keys.decrypt(base64.b64decode(request["wrapped"]), aad))}


def convert(command):
    request = json.load(sys.stdin)
    kek = primitive(request["kek"])
    if command == "encrypt-keyset":
        handle = json_proto_keyset_format.parse(request["keyset"], secret_key_access.TOKEN)
        return json_proto_keyset_format.serialize_encrypted(handle, kek, b"")
    handle = json_proto_keyset_format.parse_encrypted(request["keyset"], kek, b"")
    return json_proto_keyset_format.serialize(handle, secret_key_access.TOKEN)


def main():
    aead.register()
    command = sys.argv[1]
    if command == "vectors":
        print(json.dumps(list(vectors()), indent=1, ensure_ascii=False))
    elif command == "keyset":
        handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
        print(json_proto_keyset_format.serialize(handle, secret_key_access.TOKEN))
    elif command in ("wrap", "unwrap"):
        print(json.dumps(serve(command)))
    elif command in ("encrypt-keyset", "decrypt-keyset"):
        print(convert(command))
    elif command != "--check":
        sys.exit(__doc__)


main()
