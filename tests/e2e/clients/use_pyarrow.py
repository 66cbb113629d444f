"""pyarrow: its file system on the AWS SDK for C++, and Parquet on that."""

import pyarrow
import pyarrow.parquet
from pyarrow.fs import FileSelector, FileType, S3FileSystem

from steps import ACCESS_KEY, BUCKET, ENDPOINT, LARGE, RANGES, REGION, SECRET_KEY, SMALL, step, version

FOLDER = f"{BUCKET}/clients/pyarrow ü+"
s3 = S3FileSystem(access_key=ACCESS_KEY, secret_key=SECRET_KEY, region=REGION, endpoint_override=ENDPOINT)


def write(name, content):
    with s3.open_output_stream(f"{FOLDER}/{name}") as stream:
        stream.write(content)


def read(name):
    with s3.open_input_stream(f"{FOLDER}/{name}") as stream:
        return stream.read()


def sizes():
    entries = s3.get_file_info(FileSelector(FOLDER, recursive=True, allow_not_found=True))
    return {entry.base_name: entry.size for entry in entries if entry.type == FileType.File}


version(pyarrow.__version__)
with step("put"):
    s3.create_dir(FOLDER)
    write("small", SMALL)
    write("empty", b"")
with step("get"):
    assert read("small") == SMALL
    assert read("empty") == b""
with step("parts"):
    write("large", LARGE)
    assert read("large") == LARGE
with step("range"):
    with s3.open_input_file(f"{FOLDER}/large") as file:
        for start, length in RANGES:
            assert file.read_at(length, start) == LARGE[start : start + length]
    # Parquet reads the end first, and then the columns that it wants.
    table = pyarrow.table({"number": range(1_000_000), "text": [f"row {row}" for row in range(1_000_000)]})
    pyarrow.parquet.write_table(table, f"{FOLDER}/table", filesystem=s3, row_group_size=100_000)
    column = pyarrow.parquet.read_table(f"{FOLDER}/table", columns=["text"], filesystem=s3)
    assert column["text"] == table["text"]
    s3.delete_file(f"{FOLDER}/table")
with step("copy"):
    s3.copy_file(f"{FOLDER}/small", f"{FOLDER}/copy")
    s3.move(f"{FOLDER}/copy", f"{FOLDER}/moved")
    assert read("moved") == SMALL
with step("list"):
    assert sizes() == {"small": len(SMALL), "empty": 0, "large": len(LARGE), "moved": len(SMALL)}, sizes()
with step("delete"):
    s3.delete_dir(FOLDER)
    assert sizes() == {}, sizes()
