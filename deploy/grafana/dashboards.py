#!/usr/bin/env python3
"""Writes the dashboards of this folder, or compares them with what it would write: `dashboards.py [--check]`.

It needs `grafana-foundation-sdk` of PyPI in PYTHONPATH; `deploy/dev/tools.sh` installs it for `make test`.
"""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from biometrics import biometrics
from callers import callers
from operators import operators
from replays import replays

FOLDER = Path(__file__).parent / "dashboards"


def text(builder):
    """The JSON of a dashboard. Exits if a round trip through Grafana's schema loses a member."""
    encoded = json.dumps(builder.build(), cls=JSONEncoder, indent=2, ensure_ascii=False, sort_keys=True)
    again = json.dumps(
        Dashboard.from_json(json.loads(encoded)), cls=JSONEncoder, indent=2, ensure_ascii=False, sort_keys=True
    )
    if again != encoded:
        sys.exit("a dashboard has a member that Grafana's schema does not have")
    return encoded + "\n"


def main():
    written = {}
    for builder in (callers(), operators(), biometrics(), replays()):
        written[builder.build().uid + ".json"] = text(builder)
    if sys.argv[1:] != ["--check"]:
        for name, content in written.items():
            (FOLDER / name).write_text(content)
        return
    found = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    different = sorted(name for name in written.keys() | found.keys() if written.get(name) != found.get(name))
    if different:
        sys.exit(f"not as dashboards.py writes them: {', '.join(different)}")


main()
