"""ETags with boto3: no MD5 to be seen, one for an object wherever it shows, and good as a condition wherever one goes."""

import re

from s3 import BUCKET, client, error_code

s3 = client()


def at(key):
    return dict(Bucket=BUCKET, Key=key)


def listed(operation, member, key):
    return [entry["ETag"] for entry in operation(Bucket=BUCKET, Prefix=key)[member]]


def check(key, etag, form):
    """All ways to learn of an ETag agree, and it holds for the object and no other."""
    assert re.fullmatch(form, etag), etag
    assert s3.head_object(**at(key))["ETag"] == s3.get_object(**at(key))["ETag"] == etag
    assert listed(s3.list_objects, "Contents", key) == listed(s3.list_objects_v2, "Contents", key) == [etag]
    assert listed(s3.list_object_versions, "Versions", key) == [etag]
    for condition in (etag, etag.strip('"')):
        assert s3.get_object(IfMatch=condition, **at(key))["ETag"] == etag
        for _ in ("cold", "warm"):
            assert s3.get_object(IfMatch=condition, Range="bytes=0-0", **at(key))["ETag"] == etag
        assert error_code(s3.get_object, IfNoneMatch=condition, **at(key)) == "304"
        assert error_code(s3.head_object, IfNoneMatch=condition, **at(key)) == "304"
    other = etag.translate(str.maketrans("0123456789abcdef", "123456789abcdef0"))
    assert error_code(s3.get_object, IfMatch=other, **at(key)) == "PreconditionFailed"
    assert s3.get_object(IfNoneMatch=other, **at(key))["ETag"] == etag


PUT, MULTIPART = '"[0-9a-f]{32}-01"', '"[0-9a-f]{32}-[1-9][0-9]*"'
etag = s3.put_object(Body=b"one", **at("etags/put"))["ETag"]
check("etags/put", etag, PUT)
empty = s3.put_object(**at("etags/empty"))["ETag"]
assert empty == s3.head_object(**at("etags/empty"))["ETag"] == '"d41d8cd98f00b204e9800998ecf8427e-01"', empty

# A write under a condition.
assert error_code(s3.put_object, Body=b"two", IfMatch='"0"', **at("etags/put")) == "PreconditionFailed"
before, etag = etag, s3.put_object(Body=b"two", IfMatch=etag, **at("etags/put"))["ETag"]
assert before != etag and error_code(s3.put_object, IfMatch=before, **at("etags/put")) == "PreconditionFailed"

# A copy.
source = {"CopySource": at("etags/put")}
copied = s3.copy_object(CopySourceIfMatch=etag, CopySourceIfNoneMatch=before, **source, **at("etags/copy"))
check("etags/copy", copied["CopyObjectResult"]["ETag"], PUT)
copy = dict(**source, **at("etags/copy"))
assert error_code(s3.copy_object, CopySourceIfMatch=before, **copy) == "PreconditionFailed"
assert error_code(s3.copy_object, CopySourceIfNoneMatch=etag, **copy) == "PreconditionFailed"

# An upload, whose parts have ETags as PutObject's.
target = at("etags/multipart")
upload = dict(UploadId=s3.create_multipart_upload(**target)["UploadId"], **target)
etags = [s3.upload_part(PartNumber=i + 1, Body=body, **upload)["ETag"] for i, body in enumerate((bytes(5 << 20), b"2"))]
assert all(re.fullmatch(PUT, etag) for etag in etags), etags
assert [part["ETag"] for part in s3.list_parts(**upload)["Parts"]] == etags
wrong = {"Parts": [{"PartNumber": i + 1, "ETag": etag} for i, etag in enumerate(reversed(etags))]}
assert error_code(s3.complete_multipart_upload, MultipartUpload=wrong, **upload) == "InvalidPart"
parts = {"Parts": [{"PartNumber": i + 1, "ETag": etag} for i, etag in enumerate(etags)]}
multipart = s3.complete_multipart_upload(MultipartUpload=parts, **upload)["ETag"]
check("etags/multipart", multipart, MULTIPART)

# boto3 states a checksum of DeleteObjects' document, which therefore cannot be changed on its way.
delete = lambda *objects: dict(Bucket=BUCKET, Delete={"Objects": list(objects)})
conditional = delete({"Key": "etags/put", "ETag": etag}, {"Key": "etags/copy"})
assert error_code(s3.delete_objects, **conditional) == "NotImplemented"
check("etags/put", etag, PUT)
deleted = s3.delete_objects(**delete({"Key": "etags/multipart", "ETag": multipart}, {"Key": "etags/copy"}))
assert len(deleted["Deleted"]) == 2, deleted
s3.delete_object(IfMatch=etag, **at("etags/put"))
assert s3.list_objects_v2(Bucket=BUCKET, Prefix="etags/")["KeyCount"] == 1
