"""What the clients' scripts share: what they transfer, and the lines that tell the harness what a client did."""

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

MIB = 1 << 20
BUCKET = os.environ["S3EP_BUCKET"]
ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
REGION = os.environ["AWS_REGION"]
ACCESS_KEY = os.environ["AWS_ACCESS_KEY_ID"]
SECRET_KEY = os.environ["AWS_SECRET_ACCESS_KEY"]

# Two segments; and more than two parts of 5 or 8 MiB, which are not whole segments in the end.
SMALL = os.urandom(100_000)
LARGE = os.urandom(20 * MIB + 3)
# (offset, length) in LARGE: within a segment, across segments, across parts, the end.
RANGES = [(10, 1), (65_000, 70_000), (5 * MIB - 7, 14), (20 * MIB, 3)]


def version(text):
    """Says which version of the client this is."""
    print("version", text, flush=True)


@contextmanager
def step(operation):
    """Says that the client did the operation, if what it holds comes to its end."""
    yield
    print("did", operation, flush=True)


def run(*command, **options):
    """What a program printed. Its failure is the script's."""
    done = subprocess.run(command, **{"capture_output": True, "text": True} | options)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def folder(name, **files):
    """A new folder with these files: their names, and their contents."""
    path = Path(name)
    path.mkdir()
    for file, content in files.items():
        (path / file).write_bytes(content)
    return path


def same(path, content):
    """Fails if the file does not hold this."""
    assert Path(path).read_bytes() == content, path
