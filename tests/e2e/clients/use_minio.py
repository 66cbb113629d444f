"""minio-py."""

import io

import minio
from minio.commonconfig import ComposeSource, CopySource
from minio.deleteobjects import DeleteObject

from steps import ACCESS_KEY, BUCKET, ENDPOINT, LARGE, MIB, RANGES, REGION, SECRET_KEY, SMALL, step, version

PREFIX = "clients/minio-py ü+/"
s3 = minio.Minio(
    ENDPOINT.removeprefix("http://"), access_key=ACCESS_KEY, secret_key=SECRET_KEY, region=REGION, secure=False
)


def put(name, content, **arguments):
    s3.put_object(BUCKET, PREFIX + name, io.BytesIO(content), len(content), **arguments)


def read(name, **arguments):
    with s3.get_object(BUCKET, PREFIX + name, **arguments) as answer:
        return answer.read()


def sizes():
    entries = s3.list_objects(BUCKET, PREFIX, recursive=True)
    return {entry.object_name.removeprefix(PREFIX): entry.size for entry in entries}


version(minio.__version__)
with step("put"):
    put("small", SMALL)
    put("empty", b"")
with step("get"):
    assert read("small") == SMALL
    assert read("empty") == b""
with step("parts"):
    # Also of a length that the client does not know.
    put("large", LARGE, part_size=5 * MIB)
    s3.put_object(BUCKET, PREFIX + "stream", io.BytesIO(LARGE), -1, part_size=8 * MIB)
    assert read("large") == read("stream") == LARGE
with step("range"):
    for start, length in RANGES:
        assert read("large", offset=start, length=length) == LARGE[start : start + length]
with step("copy"):
    s3.copy_object(BUCKET, PREFIX + "copy", CopySource(BUCKET, PREFIX + "small"))
    assert read("copy") == SMALL
with step("copy by parts"):
    sources = [ComposeSource(BUCKET, PREFIX + name) for name in ("large", "small")]
    s3.compose_object(BUCKET, PREFIX + "composed", sources)
    assert read("composed") == LARGE + SMALL
    s3.remove_object(BUCKET, PREFIX + "composed")
with step("list"):
    expected = {"small": len(SMALL), "empty": 0, "large": len(LARGE), "stream": len(LARGE), "copy": len(SMALL)}
    assert sizes() == expected, sizes()
with step("delete"):
    errors = s3.remove_objects(BUCKET, [DeleteObject(PREFIX + name) for name in sizes()])
    assert list(errors) == []
    assert sizes() == {}, sizes()
