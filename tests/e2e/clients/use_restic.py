"""restic: a backup, checked to the last byte, and restored."""

import json
import os

from steps import BUCKET, ENDPOINT, LARGE, SMALL, folder, run, same, step, version

os.environ["RESTIC_REPOSITORY"] = f"s3:{ENDPOINT}/{BUCKET}/clients/restic ü+"
os.environ["RESTIC_PASSWORD"] = "s3ep"


def restic(*arguments):
    return run("restic", *arguments)


here = folder("here", small=SMALL, large=LARGE, empty=b"")
version(restic("version").split()[1])
restic("init")
with step("put"):
    restic("backup", "here")
with step("get"):
    restic("check", "--read-data")
with step("range"):
    # A restore reads pieces of packs; without its cache restic reads everything from the store.
    restic("restore", "latest", "--no-cache", "--target", "there")
    same("there/here/small", SMALL)
    same("there/here/large", LARGE)
    same("there/here/empty", b"")
with step("list"):
    restored = json.loads(restic("stats", "--json", "--no-cache"))
    assert restored["total_size"] == len(SMALL) + len(LARGE), restored
with step("delete"):
    restic("forget", "--prune", "latest")
    assert json.loads(restic("snapshots", "--json")) == []
