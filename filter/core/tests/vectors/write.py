"""Writes the vectors. `write.py --check` instead re-makes them, compares, and has read.py's reader judge them."""

import json
import sys
from collections import Counter
from pathlib import Path

import bad_bodies
import bad_metadata
import good
import judge
import read_tables
import tables

HERE = Path(__file__).parent


def made() -> dict[str, bytes]:
    """File name to content, of all that this folder's programs make."""
    objects = good.vectors() + bad_bodies.vectors() + bad_metadata.vectors()
    jsons = {
        "objects.json": objects,
        "keys.json": tables.keys(),
        "macs.json": tables.macs(),
        "segments.json": tables.segments(),
        "layout.json": tables.layout(),
        "unencrypted.json": tables.unencrypted(),
        "uploads.json": tables.uploads(),
    }
    texts = {name: json.dumps(value, indent=1, ensure_ascii=False) + "\n" for name, value in jsons.items()}
    return {name: text.encode() for name, text in texts.items()} | {body.file: body.data for body in good.files()}


def on_disk() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in HERE.iterdir() if path.suffix in (".json", ".bin")}


def check() -> int:
    files, stored = made(), on_disk()
    complaints = [f"{name}: not what write.py makes" for name in files | stored if files.get(name) != stored.get(name)]
    objects = json.loads(stored["objects.json"])
    names = Counter(vector["name"] for vector in objects)
    complaints += [f"{name}: {count} vectors of this name" for name, count in names.items() if count > 1]
    complaints += [f"{vector['name']}: {complaint}" for vector in objects for complaint in judge.check(vector)]
    complaints += read_tables.complaints()
    print("\n".join(complaints) or f"{len(objects)} objects, {sum(map(len, stored.values())):,} bytes in all: good")
    print(dict(Counter(vector["expect"] for vector in objects)))
    return 1 if complaints else 0


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        return check()
    for path in HERE.iterdir():
        if path.suffix in (".json", ".bin"):
            path.unlink()
    for name, content in made().items():
        (HERE / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
