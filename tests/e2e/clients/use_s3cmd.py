"""s3cmd: compares MD5 sums in `sync`, its own of what it uploaded."""

from pathlib import Path

from steps import ACCESS_KEY, BUCKET, ENDPOINT, LARGE, MIB, REGION, SECRET_KEY, SMALL, folder, run, same, step, version

URL = f"s3://{BUCKET}/clients/s3cmd ü+/"
CONFIG = f"""[default]
access_key = {ACCESS_KEY}
secret_key = {SECRET_KEY}
host_base = {ENDPOINT.removeprefix("http://")}
host_bucket = {ENDPOINT.removeprefix("http://")}
bucket_location = {REGION}
use_https = False
multipart_chunk_size_mb = 5
multipart_copy_chunk_size_mb = 8
"""


def s3cmd(*arguments):
    return run("s3cmd", "--config", "s3cfg", "--no-progress", *arguments)


def sizes():
    lines = [line.split(maxsplit=3) for line in s3cmd("ls", "--recursive", URL).splitlines()]
    return {name.removeprefix(URL): int(size) for _, _, size, name in lines}


Path("s3cfg").write_text(CONFIG)
here = folder("here", small=SMALL, large=LARGE, empty=b"")
version(s3cmd("--version").split()[-1])
with step("put"):
    s3cmd("put", here / "small", here / "empty", URL)
with step("get"):
    s3cmd("get", URL + "small", "got small")
    same("got small", SMALL)
with step("parts"):
    s3cmd("put", here / "large", URL)
    s3cmd("get", URL + "large", "got large")
    same("got large", LARGE)
with step("range"):
    # From where an earlier download ended.
    Path("got large").write_bytes(LARGE[: 6 * MIB + 1])
    s3cmd("get", "--continue", URL + "large", "got large")
    same("got large", LARGE)
with step("copy"):
    s3cmd("cp", URL + "small", URL + "copy")
    s3cmd("get", URL + "copy", "got copy")
    same("got copy", SMALL)
with step("copy by parts"):
    s3cmd("cp", URL + "large", URL + "large copy")
    s3cmd("get", URL + "large copy", "got large copy")
    same("got large copy", LARGE)
    s3cmd("del", URL + "large copy")
with step("list"):
    assert sizes() == {"small": len(SMALL), "empty": 0, "large": len(LARGE), "copy": len(SMALL)}, sizes()
with step("sync"):
    first = s3cmd("sync", f"{here}/", URL + "synced/")
    assert first.count("upload: ") == 3, first
    assert s3cmd("sync", f"{here}/", URL + "synced/") == ""
    there = folder("there")
    s3cmd("sync", URL + "synced/", f"{there}/")
    assert s3cmd("sync", URL + "synced/", f"{there}/") == ""
    same(there / "small", SMALL)
    same(there / "large", LARGE)
    same(there / "empty", b"")
with step("delete"):
    s3cmd("del", "--recursive", "--force", URL)
    assert sizes() == {}, sizes()
