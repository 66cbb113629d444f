"""Puts, heads, gets and deletes objects with boto3 as people use it: default checksums, default retries."""

import base64
import hashlib
import os
import zlib

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


def of_whole(answer):
    """What an answer says of checksums."""
    return {name: value for name, value in answer.items() if name.startswith("Checksum")}


# Over plain HTTP boto3 sends checksums in headers, which are kept.
checked = {"Bucket": BUCKET, "Key": "clients/checked ü"}
body = os.urandom(100_000)
digests = {
    "CRC32": zlib.crc32(body).to_bytes(4, "big"),
    "SHA1": hashlib.sha1(body).digest(),
    "SHA256": hashlib.sha256(body).digest(),
}
for algorithm, digest in digests.items():
    checksum = {f"Checksum{algorithm}": base64.b64encode(digest).decode(), "ChecksumType": "FULL_OBJECT"}
    assert of_whole(s3.put_object(**checked, Body=body, ChecksumAlgorithm=algorithm)) == checksum
    copy = {"Bucket": BUCKET, "Key": f"clients/copy of {algorithm}"}
    s3.copy_object(**copy, CopySource=checked)
    for named in (checked, copy):
        assert of_whole(s3.head_object(**named, ChecksumMode="ENABLED")) == checksum
        assert of_whole(s3.head_object(**named)) == {}
        answer = s3.get_object(**named, ChecksumMode="ENABLED")
        assert of_whole(answer) == checksum and answer["Body"].read() == body
        answer = s3.get_object(**named, ChecksumMode="ENABLED", Range="bytes=70000-")
        assert of_whole(answer) == {} and answer["Body"].read() == body[70_000:]

# These two are awscrt's to compute, for boto3 as for this script: it checks them itself.
for algorithm in ("CRC32C", "CRC64NVME"):
    stated = of_whole(s3.put_object(**checked, Body=body, ChecksumAlgorithm=algorithm))
    answer = s3.get_object(**checked, ChecksumMode="ENABLED")
    assert answer["Body"].read() == body and of_whole(answer) == stated and f"Checksum{algorithm}" in stated, stated

upload = dict(**checked, UploadId=s3.create_multipart_upload(**checked)["UploadId"])
part = s3.upload_part(**upload, PartNumber=1, Body=body, ChecksumAlgorithm="SHA1")
assert of_whole(part) == {"ChecksumSHA1": base64.b64encode(digests["SHA1"]).decode()}, part
s3.abort_multipart_upload(**upload)

digest = base64.b64encode(hashlib.md5(b"digest").digest()).decode()
s3.put_object(Bucket=BUCKET, Key="clients/digest", Body=b"digest", ContentMD5=digest)
upload = dict(Bucket=BUCKET, Key="clients/bad digest", Body=b"another", ContentMD5=digest)
assert error_code(s3.put_object, **upload) == "BadDigest"
assert error_code(s3.get_object, Bucket=BUCKET, Key="clients/bad digest") == "NoSuchKey"
