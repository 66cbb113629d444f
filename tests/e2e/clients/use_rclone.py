"""rclone, as a remote of the provider `Other`."""

import json
import os

from steps import ACCESS_KEY, BUCKET, ENDPOINT, LARGE, RANGES, REGION, SECRET_KEY, SMALL, folder, run, same, step, version

REMOTE = {"TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": ENDPOINT, "REGION": REGION}
REMOTE |= {"ACCESS_KEY_ID": ACCESS_KEY, "SECRET_ACCESS_KEY": SECRET_KEY, "FORCE_PATH_STYLE": "true"}
# Its own defaults are 200 MiB and 4.7 GiB.
LIMITS = ["--s3-upload-cutoff", "5M", "--s3-chunk-size", "5M", "--s3-copy-cutoff", "8M", "--multi-thread-cutoff", "5M"]
os.environ |= {f"RCLONE_CONFIG_S3EP_{name}": value for name, value in REMOTE.items()}
PATH = f"s3ep:{BUCKET}/clients/rclone ü+/"


def rclone(*arguments, **options):
    return run("rclone", "--config", "", "--retries", "1", *LIMITS, *arguments, **options)


def sync(source, target):
    """The files' names after what became of them: + transferred, = left alone."""
    return sorted(rclone("sync", "--combined", "-", source, target).splitlines())


def sizes():
    return {entry["Path"]: entry["Size"] for entry in json.loads(rclone("lsjson", "--recursive", PATH))}


here = folder("here", small=SMALL, large=LARGE, empty=b"")
version(rclone("version").split()[1].lstrip("v"))
with step("put"):
    rclone("copyto", here / "small", PATH + "small")
    rclone("copyto", here / "empty", PATH + "empty")
with step("get"):
    rclone("copyto", PATH + "small", "got small")
    same("got small", SMALL)
with step("parts"):
    rclone("copyto", here / "large", PATH + "large")
    rclone("copyto", PATH + "large", "got large")
    same("got large", LARGE)
with step("range"):
    for start, length in RANGES:
        piece = rclone("cat", "--offset", str(start), "--count", str(length), PATH + "large", text=False)
        assert piece == LARGE[start : start + length]
with step("copy"):
    rclone("copyto", PATH + "small", PATH + "copy")
    rclone("copyto", PATH + "copy", "got copy")
    same("got copy", SMALL)
with step("copy by parts"):
    rclone("copyto", PATH + "large", PATH + "large copy")
    rclone("moveto", PATH + "large copy", "got large copy")
    same("got large copy", LARGE)
with step("list"):
    assert sizes() == {"small": len(SMALL), "empty": 0, "large": len(LARGE), "copy": len(SMALL)}, sizes()
with step("sync"):
    assert sync(here, PATH + "synced") == ["+ empty", "+ large", "+ small"]
    assert sync(here, PATH + "synced") == ["= empty", "= large", "= small"]
    rclone("check", "--download", here, PATH + "synced")
    assert sync(PATH + "synced", "there") == ["+ empty", "+ large", "+ small"]
    assert sync(PATH + "synced", "there") == ["= empty", "= large", "= small"]
    same("there/large", LARGE)
with step("delete"):
    rclone("purge", PATH)
    assert sizes() == {}, sizes()
