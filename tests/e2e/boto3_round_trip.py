"""Puts, heads, gets and deletes objects with boto3 as people use it: default checksums, default retries."""

import base64
import hashlib
import os

from s3 import BUCKET, client, error_code

s3 = client()

for size in (0, 1, 65_536, 5_000_000):
    key = f"clients/boto3 ü/{size}"
    body = os.urandom(size)
    s3.put_object(Bucket=BUCKET, Key=key, Body=body, ContentType="text/x-s3ep", Metadata={"under_score": "a  b"})
    head = s3.head_object(Bucket=BUCKET, Key=key)
    assert head["ContentLength"] == size, head
    # boto3 checks the length, and whatever checksum the answer has.
    answer = s3.get_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
    assert answer["Body"].read() == body
    assert answer["ContentType"] == "text/x-s3ep", answer
    assert answer["Metadata"] == {"under_score": "a  b"}, answer
    s3.delete_object(Bucket=BUCKET, Key=key)
    assert error_code(s3.get_object, Bucket=BUCKET, Key=key) == "NoSuchKey"

# CRC32C and CRC64NVME would need awscrt.
for algorithm in ("CRC32", "SHA1", "SHA256"):
    s3.put_object(Bucket=BUCKET, Key="clients/checked", Body=b"checked", ChecksumAlgorithm=algorithm)
    assert s3.get_object(Bucket=BUCKET, Key="clients/checked")["Body"].read() == b"checked"

digest = base64.b64encode(hashlib.md5(b"digest").digest()).decode()
s3.put_object(Bucket=BUCKET, Key="clients/digest", Body=b"digest", ContentMD5=digest)
upload = dict(Bucket=BUCKET, Key="clients/bad digest", Body=b"another", ContentMD5=digest)
assert error_code(s3.put_object, **upload) == "BadDigest"
assert error_code(s3.get_object, Bucket=BUCKET, Key="clients/bad digest") == "NoSuchKey"
