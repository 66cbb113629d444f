"""boto3: its default checksums, and its transfer manager."""

import io

import boto3
from botocore.config import Config

from steps import BUCKET, ENDPOINT, LARGE, MIB, RANGES, SMALL, step, version

PREFIX = "clients/boto3 ü+/"
s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))


def read(name, **arguments):
    return s3.get_object(Bucket=BUCKET, Key=PREFIX + name, **arguments)["Body"].read()


version(boto3.__version__)
with step("put"):
    s3.put_object(Bucket=BUCKET, Key=PREFIX + "small", Body=SMALL)
    s3.put_object(Bucket=BUCKET, Key=PREFIX + "empty", Body=b"")
with step("get"):
    assert read("small", ChecksumMode="ENABLED") == SMALL
    assert read("empty") == b""
with step("parts"):
    s3.upload_fileobj(io.BytesIO(LARGE), BUCKET, PREFIX + "large")
    received = io.BytesIO()
    s3.download_fileobj(BUCKET, PREFIX + "large", received)
    assert received.getvalue() == LARGE
with step("range"):
    for start, length in RANGES:
        assert read("large", Range=f"bytes={start}-{start + length - 1}") == LARGE[start : start + length]
with step("copy"):
    s3.copy_object(Bucket=BUCKET, Key=PREFIX + "copy", CopySource={"Bucket": BUCKET, "Key": PREFIX + "small"})
    assert read("copy") == SMALL
with step("copy by parts"):
    # From 8 MiB on.
    s3.copy({"Bucket": BUCKET, "Key": PREFIX + "large"}, BUCKET, PREFIX + "large copy")
    assert read("large copy") == LARGE
    s3.delete_object(Bucket=BUCKET, Key=PREFIX + "large copy")
with step("list"):
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX)["Contents"]
    sizes = {entry["Key"].removeprefix(PREFIX): entry["Size"] for entry in listed}
    assert sizes == {"small": len(SMALL), "empty": 0, "large": len(LARGE), "copy": len(SMALL)}, sizes
with step("delete"):
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": entry["Key"]} for entry in listed]})
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX)["KeyCount"] == 0
