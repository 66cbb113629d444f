"""s5cmd: many parts and ranges at once."""

import json
import os

from steps import BUCKET, ENDPOINT, LARGE, SMALL, folder, run, same, step, version

# With a space, which s5cmd writes as a plus sign in x-amz-copy-source.
URL = f"s3://{BUCKET}/clients/s5cmd ü+/"
os.environ["S3_ENDPOINT_URL"] = ENDPOINT


def s5cmd(*arguments):
    return run("s5cmd", *arguments)


def sizes(pattern):
    entries = map(json.loads, s5cmd("--json", "ls", pattern).splitlines())
    return {entry["key"].removeprefix(URL): entry.get("size", 0) for entry in entries}


here = folder("here", small=SMALL, large=LARGE, empty=b"")
version(s5cmd("version").split("-")[0].lstrip("v"))
with step("put"):
    s5cmd("cp", here / "small", URL)
    s5cmd("cp", here / "empty", URL)
with step("get"):
    s5cmd("cp", URL + "small", "got small")
    same("got small", SMALL)
with step("parts"):
    s5cmd("cp", "--part-size", "5", here / "large", URL)
with step("range"):
    s5cmd("cp", "--part-size", "3", URL + "large", "got large")
    same("got large", LARGE)
with step("copy"):
    s5cmd("cp", URL + "small", URL + "copy")
    s5cmd("mv", URL + "copy", URL + "moved")
    s5cmd("cp", URL + "moved", "got moved")
    same("got moved", SMALL)
with step("list"):
    expected = {"small": len(SMALL), "empty": 0, "large": len(LARGE), "moved": len(SMALL)}
    assert sizes(URL + "*") == expected, sizes(URL + "*")
with step("sync"):
    first = s5cmd("sync", f"{here}/", URL + "synced/")
    assert len(first.splitlines()) == 3, first
    assert s5cmd("sync", f"{here}/", URL + "synced/") == ""
    s5cmd("sync", URL + "synced/*", "there/")
    same("there/small", SMALL)
    same("there/large", LARGE)
    same("there/empty", b"")
with step("delete"):
    s5cmd("rm", URL + "*")
    assert "s5cmd" not in s5cmd("ls", f"s3://{BUCKET}")
