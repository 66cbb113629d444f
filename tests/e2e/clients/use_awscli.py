"""The AWS CLI, version 1: the one that PyPI has."""

import json

from steps import BUCKET, LARGE, RANGES, SMALL, folder, run, same, step, version

PREFIX = "clients/awscli ü+/"
URL = f"s3://{BUCKET}/{PREFIX}"


def s3(*arguments):
    return run("aws", "s3", *arguments)


def sizes():
    listing = run("aws", "s3api", "list-objects-v2", "--bucket", BUCKET, "--prefix", PREFIX, "--output", "json")
    return {entry["Key"].removeprefix(PREFIX): entry["Size"] for entry in json.loads(listing).get("Contents", [])}


here = folder("here", small=SMALL, large=LARGE, empty=b"")
version(run("aws", "--version").split()[0].split("/")[1])
with step("put"):
    s3("cp", here / "small", URL)
    s3("cp", here / "empty", URL)
with step("get"):
    s3("cp", URL + "small", "got small")
    same("got small", SMALL)
with step("parts"):
    # From 8 MiB on, up and down.
    s3("cp", here / "large", URL)
    s3("cp", URL + "large", "got large")
    same("got large", LARGE)
with step("range"):
    for start, length in RANGES:
        get = ["aws", "s3api", "get-object", "--bucket", BUCKET, "--key", PREFIX + "large"]
        run(*get, "--range", f"bytes={start}-{start + length - 1}", "range")
        same("range", LARGE[start : start + length])
with step("copy"):
    s3("cp", URL + "small", URL + "copy")
    s3("cp", URL + "copy", "got copy")
    same("got copy", SMALL)
with step("copy by parts"):
    s3("cp", URL + "large", URL + "large copy")
    s3("mv", URL + "large copy", "got large copy")
    same("got large copy", LARGE)
with step("list"):
    expected = {"small": len(SMALL), "empty": 0, "large": len(LARGE), "copy": len(SMALL)}
    assert sizes() == expected, sizes()
with step("sync"):
    first = s3("sync", here, URL + "synced")
    assert first.count("upload: ") == 3, first
    assert s3("sync", here, URL + "synced") == ""
    s3("sync", URL + "synced", "there")
    assert s3("sync", URL + "synced", "there") == ""
    same("there/small", SMALL)
    same("there/large", LARGE)
    same("there/empty", b"")
with step("delete"):
    s3("rm", "--recursive", URL)
    assert sizes() == {}, sizes()
