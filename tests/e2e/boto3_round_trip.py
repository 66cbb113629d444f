"""Puts, heads, gets and deletes objects with boto3 as people use it: default checksums, default retries."""

import base64
import hashlib
import os

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKET = os.environ["S3EP_BUCKET"]
s3 = boto3.client(
    "s3",
    endpoint_url=os.environ["AWS_ENDPOINT_URL"],
    region_name=os.environ["AWS_REGION"],
    config=Config(s3={"addressing_style": "path"}),
)


def error_code(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    raise AssertionError(f"{call} did not fail")


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
