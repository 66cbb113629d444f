"""Google's own Tink with keysets that AWS KMS encrypts, which is where the AWS variables say.

    tink_keyset.py make KEYSET URI                              writes a new one
    tink_keyset.py size KEYSET URI                              how many keys it has
    tink_keyset.py unwrap KEYSET URI BUCKET OBJECT_KEY WRAPPED  the DEK; both in base64
"""

import base64
import sys

import boto3
import tink
from tink import aead, json_proto_keyset_format
from tink.integration import awskms


def kek(uri):
    client = boto3.client("kms", region_name=uri.split(":")[4])
    return awskms.new_client(boto3_client=client, key_uri=uri).get_aead(uri)


def read(file, uri):
    with open(file, encoding="utf-8") as keyset:
        return json_proto_keyset_format.parse_encrypted(keyset.read(), kek(uri), b"")


def make(file, uri):
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    with open(file, "w", encoding="utf-8") as keyset:
        keyset.write(json_proto_keyset_format.serialize_encrypted(handle, kek(uri), b""))


def size(file, uri):
    print(len(read(file, uri).keyset_info().key_info))


def unwrap(file, uri, bucket, object_key, wrapped):
    context = bucket.encode() + b"\0" + object_key.encode()
    dek = read(file, uri).primitive(aead.Aead).decrypt(base64.b64decode(wrapped), context)
    print(base64.b64encode(dek).decode())


aead.register()
{"make": make, "size": size, "unwrap": unwrap}[sys.argv[1]](*sys.argv[2:])
