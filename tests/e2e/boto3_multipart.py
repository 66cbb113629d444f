"""Multipart uploads and copies with boto3: managed and by hand, parts of odd sizes, in any order, twice at once."""

import io
import os

from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from s3 import BUCKET, client, error_code

MIB = 1 << 20
ONCE = Config(retries={"mode": "standard", "max_attempts": 1})
s3 = client(config=ONCE)
store = client(
    os.environ["S3EP_STORE_URL"],
    ONCE,
    aws_access_key_id=os.environ["S3EP_STORE_ACCESS_KEY_ID"],
    aws_secret_access_key=os.environ["S3EP_STORE_SECRET_ACCESS_KEY"],
)


def check(key, body):
    """All ways to read an object agree."""
    assert s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"] == len(body)
    answer = s3.get_object(Bucket=BUCKET, Key=key)
    assert answer["ContentLength"] == len(body) and answer["Body"].read() == body
    borders = [0, 1, 65_535, 65_536, 5 * MIB, 5 * MIB + 1, 10 * MIB + 78, len(body) - 2]
    for first in (border for border in borders if 0 <= border < len(body) - 1):
        for length in (1, 2, 70_000):
            last = min(first + length, len(body)) - 1
            answer = s3.get_object(Bucket=BUCKET, Key=key, Range=f"bytes={first}-{last}")
            assert answer["Body"].read() == body[first : last + 1], (key, first, last)
            assert answer["ContentRange"] == f"bytes {first}-{last}/{len(body)}", answer["ContentRange"]
    assert body[:64] not in store.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def upload(key, parts, order=None, **arguments):
    """An upload by hand, each part sent twice: the second time counts."""
    upload_id = s3.create_multipart_upload(Bucket=BUCKET, Key=key, **arguments)["UploadId"]
    etags = {}
    for number in order or range(1, len(parts) + 1):
        part = dict(Bucket=BUCKET, Key=key, UploadId=upload_id, PartNumber=number)
        s3.upload_part(Body=b"a first attempt", **part)
        etags[number] = s3.upload_part(Body=parts[number - 1], **part)["ETag"]
    return upload_id, [{"PartNumber": number, "ETag": etags[number]} for number in sorted(etags)]


def complete(key, upload_id, parts):
    return s3.complete_multipart_upload(
        Bucket=BUCKET, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
    )


# Managed: 8 MiB parts, in parallel, and read back by ranges in parallel.
managed = os.urandom(20 * MIB + 3)
s3.upload_fileobj(io.BytesIO(managed), BUCKET, "multipart/managed", ExtraArgs={"Metadata": {"mine": "yes"}})
check("multipart/managed", managed)
received = io.BytesIO()
s3.download_fileobj(BUCKET, "multipart/managed", received, Config=TransferConfig(multipart_chunksize=3 * MIB))
assert received.getvalue() == managed
head = s3.head_object(Bucket=BUCKET, Key="multipart/managed")
assert head["Metadata"] == {"mine": "yes"}, head
listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="multipart/managed")["Contents"]
assert [entry["Size"] for entry in listed] == [len(managed)], listed

# By hand: odd sizes, backwards, two uploads of one key at once.
odd = [os.urandom(5 * MIB + 1), os.urandom(5 * MIB + 77), os.urandom(7)]
other = [os.urandom(5 * MIB), os.urandom(1)]
first = upload("multipart/odd", other)
second = upload("multipart/odd", odd, order=(3, 1, 2), ContentType="text/x-odd")
listed = s3.list_parts(Bucket=BUCKET, Key="multipart/odd", UploadId=second[0])["Parts"]
assert [(part["PartNumber"], part["Size"]) for part in listed] == [(i + 1, len(p)) for i, p in enumerate(odd)], listed
complete("multipart/odd", *first)
check("multipart/odd", b"".join(other))
complete("multipart/odd", *second)
check("multipart/odd", b"".join(odd))
start = 0
for number, part in enumerate(odd, 1):
    answer = s3.get_object(Bucket=BUCKET, Key="multipart/odd", PartNumber=number)
    assert answer["Body"].read() == part
    assert answer["ContentRange"] == f"bytes {start}-{start + len(part) - 1}/{len(b''.join(odd))}", answer
    assert s3.head_object(Bucket=BUCKET, Key="multipart/odd", PartNumber=number)["ContentLength"] == len(part)
    start += len(part)

# An UploadId is good for its own upload alone, and an aborted one is gone.
upload_id, parts = upload("multipart/aborted", [b"a"])
part = dict(Bucket=BUCKET, Key="multipart/aborted", PartNumber=1, Body=b"a")
for forged in (upload_id[:-3], upload_id[:-1] + ("A" if upload_id[-1] != "A" else "Q"), "x" + upload_id, "x"):
    assert error_code(s3.upload_part, UploadId=forged, **part) == "NoSuchUpload", forged
part["Key"] = "multipart/another"
assert error_code(s3.upload_part, UploadId=upload_id, **part) == "NoSuchUpload"
s3.abort_multipart_upload(Bucket=BUCKET, Key="multipart/aborted", UploadId=upload_id)
assert error_code(complete, key="multipart/aborted", upload_id=upload_id, parts=parts) == "NoSuchUpload"
upload_id, parts = upload("multipart/gap", [b"a"])
parts[0]["PartNumber"] = 2
assert error_code(complete, key="multipart/gap", upload_id=upload_id, parts=parts) == "InvalidPart"

# Copies: the metadata comes along or is replaced, and the bytes stay right, for multipart objects and copies of copies.
s3.put_object(Bucket=BUCKET, Key="copies/a b+ü", Body=managed[:100_000], ContentType="text/x-a", Metadata={"a": "1"})
source = {"Bucket": BUCKET, "Key": "copies/a b+ü"}
s3.copy_object(Bucket=BUCKET, Key="copies/copy", CopySource=source)
check("copies/copy", managed[:100_000])
head = s3.head_object(Bucket=BUCKET, Key="copies/copy")
assert (head["ContentType"], head["Metadata"]) == ("text/x-a", {"a": "1"}), head
replace = dict(MetadataDirective="REPLACE", ContentType="text/x-b", Metadata={"b": "2"})
s3.copy_object(Bucket=BUCKET, Key="copies/copy", CopySource={"Bucket": BUCKET, "Key": "copies/copy"}, **replace)
check("copies/copy", managed[:100_000])
head = s3.head_object(Bucket=BUCKET, Key="copies/copy")
assert (head["ContentType"], head["Metadata"]) == ("text/x-b", {"b": "2"}), head
s3.copy_object(Bucket=BUCKET, Key="copies/odd", CopySource={"Bucket": BUCKET, "Key": "multipart/odd"})
s3.copy_object(Bucket=BUCKET, Key="copies/odd again", CopySource={"Bucket": BUCKET, "Key": "copies/odd"})
s3.delete_object(Bucket=BUCKET, Key="copies/odd")
check("copies/odd again", b"".join(odd))
assert s3.head_object(Bucket=BUCKET, Key="copies/odd again")["ContentType"] == "text/x-odd"

target = dict(Bucket=BUCKET, Key="copies/copy")
assert error_code(s3.copy_object, CopySource={"Bucket": BUCKET, "Key": "copies/copy"}, **target) == "InvalidRequest"
assert error_code(s3.copy_object, CopySource={"Bucket": BUCKET, "Key": "copies/none"}, **target) == "NoSuchKey"
assert error_code(s3.copy_object, CopySource=source, CopySourceIfMatch='"0"', **target) == "PreconditionFailed"
store.put_object(Bucket=BUCKET, Key="copies/plain", Body=b"in clear")
plain = {"Bucket": BUCKET, "Key": "copies/plain"}
assert error_code(s3.copy_object, CopySource=plain, **target) == "NotImplemented"
