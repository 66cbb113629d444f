"""boto3 over https, as people use it. Unlike over plain HTTP its checksums come in trailers then, behind the body's chunks."""

import io
import os

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import SSLError

from s3 import BUCKET, client

MIB = 1 << 20
s3 = client()

sent = []
s3.meta.events.register("before-send.s3.PutObject", lambda request, **_: sent.append(request.headers))
for size in (1, 65_536, 5_000_000):
    body = os.urandom(size)
    s3.put_object(Bucket=BUCKET, Key="tls/single", Body=body)
    answer = s3.get_object(Bucket=BUCKET, Key="tls/single")
    assert answer["ContentLength"] == size and answer["Body"].read() == body
    answer = s3.get_object(Bucket=BUCKET, Key="tls/single", Range=f"bytes={size // 2}-")
    assert answer["Body"].read() == body[size // 2 :]
assert all(headers["x-amz-content-sha256"] == b"STREAMING-UNSIGNED-PAYLOAD-TRAILER" for headers in sent), sent

managed = os.urandom(20 * MIB + 3)
s3.upload_fileobj(io.BytesIO(managed), BUCKET, "tls/managed")
received = io.BytesIO()
s3.download_fileobj(BUCKET, "tls/managed", received, Config=TransferConfig(multipart_chunksize=3 * MIB))
assert received.getvalue() == managed
s3.copy({"Bucket": BUCKET, "Key": "tls/managed"}, BUCKET, "tls/copy")
assert s3.get_object(Bucket=BUCKET, Key="tls/copy")["Body"].read() == managed
listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="tls/copy")["Contents"]
assert [entry["Size"] for entry in listed] == [len(managed)], listed

# Whoever does not know the authority that vouches for Envoy sends it nothing.
del os.environ["AWS_CA_BUNDLE"]
try:
    client().list_objects_v2(Bucket=BUCKET)
    raise AssertionError("an unknown authority was trusted")
except SSLError:
    pass
