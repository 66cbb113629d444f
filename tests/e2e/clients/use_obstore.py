"""obstore: Rust's object_store crate, as Python's packages have it."""

import obstore
from obstore.store import S3Store

from steps import BUCKET, ENDPOINT, LARGE, MIB, RANGES, REGION, SMALL, step, version

s3 = S3Store(
    BUCKET,
    prefix="clients/obstore ü+",
    endpoint=ENDPOINT,
    region=REGION,
    client_options={"allow_http": True},
)


def read(name):
    return bytes(s3.get(name).bytes())


def sizes():
    return {entry["path"]: entry["size"] for page in s3.list() for entry in page}


version(obstore.__version__)
with step("put"):
    s3.put("small", SMALL)
    s3.put("empty", b"")
with step("get"):
    assert read("small") == SMALL
    assert read("empty") == b""
with step("parts"):
    s3.put("large", LARGE, use_multipart=True, chunk_size=5 * MIB)
    assert read("large") == LARGE
with step("range"):
    for start, length in RANGES:
        assert bytes(s3.get_range("large", start=start, length=length)) == LARGE[start : start + length]
with step("copy"):
    s3.copy("small", "copy")
    s3.rename("copy", "moved")
    assert read("moved") == SMALL
with step("list"):
    assert sizes() == {"small": len(SMALL), "empty": 0, "large": len(LARGE), "moved": len(SMALL)}, sizes()
with step("delete"):
    s3.delete(list(sizes()))
    assert sizes() == {}, sizes()
