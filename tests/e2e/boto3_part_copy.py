"""UploadPartCopy and GetObjectAttributes with boto3, with sizes and bytes in plaintext terms; and what it costs."""

import os

from boto3.s3.transfer import TransferConfig
from s3 import BUCKET, client, error_code

MIB = 1 << 20

s3 = client()
store = client(
    os.environ["S3EP_STORE_URL"],
    aws_access_key_id=os.environ["S3EP_STORE_ACCESS_KEY_ID"],
    aws_secret_access_key=os.environ["S3EP_STORE_SECRET_ACCESS_KEY"],
)


def body(key):
    """An object's bytes as a client reads them."""
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def source(key):
    """What copies are made of."""
    return {"Bucket": BUCKET, "Key": key}


def compose(key, *parts):
    """Makes an object of (source, range) pairs, last one first."""
    upload_id = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    etags = {}
    for number, (copied, span) in reversed(list(enumerate(parts, 1))):
        extra = {"CopySourceRange": f"bytes={span[0]}-{span[1]}"} if span else {}
        answer = s3.upload_part_copy(
            Bucket=BUCKET, Key=key, UploadId=upload_id, PartNumber=number, CopySource=source(copied), **extra
        )
        assert answer["CopyPartResult"]["LastModified"].year >= 2026, answer
        etags[number] = answer["CopyPartResult"]["ETag"]
    listed = s3.list_parts(Bucket=BUCKET, Key=key, UploadId=upload_id)["Parts"]
    assert [(part["PartNumber"], part["ETag"]) for part in listed] == sorted(etags.items()), listed
    done = {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in sorted(etags.items())]}
    s3.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload_id, MultipartUpload=done)


# boto3's managed copy, which copies in parts what is larger than 8 MiB.
large = os.urandom(100 * MIB + 12_345)
s3.put_object(Bucket=BUCKET, Key="part-copy/large ü+", Body=large, Metadata={"a": "1"})
s3.copy(source("part-copy/large ü+"), BUCKET, "part-copy/managed")
assert body("part-copy/managed") == large
s3.copy(source("part-copy/managed"), BUCKET, "part-copy/again", Config=TransferConfig(multipart_chunksize=60 * MIB))
assert body("part-copy/again") == large
assert store.head_object(**source("part-copy/again"))["ContentLength"] > len(large)

# Ranges of sources of every kind, in parts of odd sizes.
small = large[: 6 * MIB]
s3.put_object(Bucket=BUCKET, Key="part-copy/small", Body=small)
store.put_object(Bucket=BUCKET, Key="part-copy/plain", Body=small)
compose(
    "part-copy/composed",
    ("part-copy/small", None),
    ("part-copy/managed", (8 * MIB - 1, 16 * MIB)),
    ("part-copy/plain", (1, 5 * MIB + 4)),
    ("part-copy/small", (65_535, 65_536)),
)
composed = small + large[8 * MIB - 1 : 16 * MIB + 1] + small[1 : 5 * MIB + 5] + small[65_535:65_537]
assert body("part-copy/composed") == composed
answer = s3.get_object(**source("part-copy/composed"), Range="bytes=6291450-6291460")
assert answer["Body"].read() == composed[6_291_450:6_291_461]
assert small[1000:5000] not in store.get_object(**source("part-copy/composed"))["Body"].read()

# What S3 refuses.
upload = dict(**source("part-copy/refused"), PartNumber=1)
upload["UploadId"] = s3.create_multipart_upload(**source("part-copy/refused"))["UploadId"]
refuse = lambda **arguments: error_code(s3.upload_part_copy, **{**upload, "CopySource": source("part-copy/small"), **arguments})
assert refuse(CopySourceRange=f"bytes=0-{len(small)}") == "InvalidArgument"
assert refuse(CopySourceRange="bytes=5-") == "InvalidArgument"
assert refuse(CopySource=source("part-copy/none")) == "NoSuchKey"
assert refuse(CopySourceIfMatch='"0"') == "PreconditionFailed"
assert refuse(UploadId="x") == "NoSuchUpload"
# Larger than the configuration allows.
assert refuse(CopySource=source("part-copy/managed")) == "EntityTooLarge"
s3.abort_multipart_upload(**source("part-copy/refused"), UploadId=upload["UploadId"])
assert refuse() == "NoSuchUpload"

# GetObjectAttributes.
wanted = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
answer = s3.get_object_attributes(**source("part-copy/composed"), ObjectAttributes=wanted, MaxParts=2)
assert answer["ObjectSize"] == len(composed), answer
assert answer["StorageClass"] == "STANDARD", answer
assert f'"{answer["ETag"]}"' == s3.head_object(**source("part-copy/composed"))["ETag"], answer
parts = answer["ObjectParts"]
assert (parts["TotalPartsCount"], parts["IsTruncated"], parts["NextPartNumberMarker"]) == (4, True, 2), parts
assert [part["Size"] for part in parts["Parts"]] == [6 * MIB, 8 * MIB + 2], parts
answer = s3.get_object_attributes(**source("part-copy/small"), ObjectAttributes=wanted)
assert answer["ObjectSize"] == len(small) and "ObjectParts" not in answer, answer
assert answer["LastModified"] == s3.head_object(**source("part-copy/small"))["LastModified"], answer
s3.put_object(**source("part-copy/checked"), Body=b"123456789", ChecksumCRC32="y/Q5Jg==")
answer = s3.get_object_attributes(**source("part-copy/checked"), ObjectAttributes=["Checksum"])
assert answer["Checksum"] == {"ChecksumCRC32": "y/Q5Jg==", "ChecksumType": "FULL_OBJECT"}, answer
answer = s3.get_object_attributes(**source("part-copy/plain"), ObjectAttributes=["ObjectSize"])
assert answer["ObjectSize"] == len(small), answer
assert error_code(s3.get_object_attributes, **source("part-copy/none"), ObjectAttributes=wanted) == "NoSuchKey"

# Uploads in progress: a page that begins behind an UploadId of ours.
ids = [s3.create_multipart_upload(**source("part-copy/pending"))["UploadId"] for _ in range(3)]
page = dict(Bucket=BUCKET, Prefix="part-copy/pending")
listed = [upload["UploadId"] for upload in s3.list_multipart_uploads(**page)["Uploads"]]
assert len(listed) == 3, listed
behind = s3.list_multipart_uploads(**page, KeyMarker="part-copy/pending", UploadIdMarker=next(
    i for i in ids if i.startswith(listed[0])))
assert [upload["UploadId"] for upload in behind.get("Uploads", [])] == listed[1:], (listed, behind)
for upload_id in ids:
    s3.abort_multipart_upload(**source("part-copy/pending"), UploadId=upload_id)
