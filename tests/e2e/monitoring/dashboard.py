"""Reads dashboards into Grafana's own types and writes them again. What these do not know gets lost on the way, and is named.

Usage: dashboard.py FILE…
"""

import json
import sys

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard


def differences(given, kept, where):
    """Where `kept` lacks something of `given`, or has something else. Defaults that it has more are none."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for name, value in given.items():
            if name in kept:
                yield from differences(value, kept[name], f"{where}.{name}")
            else:
                yield f"{where}.{name}: Grafana knows no such member"
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for index, (value, other) in enumerate(zip(given, kept)):
            yield from differences(value, other, f"{where}[{index}]")
    elif given != kept:
        yield f"{where}: {given!r} became {kept!r}"


plugins.register_default_plugins()
found = []
for file in sys.argv[1:]:
    with open(file, encoding="utf-8") as opened:
        dashboard = json.load(opened)
    kept = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))
    found.extend(differences(dashboard, kept, file))
sys.exit("\n".join(found) or None)
