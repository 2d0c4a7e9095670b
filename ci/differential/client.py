#!/usr/bin/python3
"""ci/differential/client.py PORT [DISPLAYS [MODE]]: spice-gtk for the differential test. Prints {"ready": true} when it is connected
and, if a mode of compression is named by its number, has asked for it.

A line of standard input is the number of a barrier and that of a display: the barrier is waited for, and the display's
primary surface printed, a JSON object with `format`, `width`, `height` and `rows` in base 64. The exit code is 1 when the connection breaks.
"""

import base64
import json
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from spice import session  # noqa: E402

SECONDS = 30.0


def main() -> int:
    displays = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    client = session.Client({"host": "127.0.0.1", "port": sys.argv[1]}, further=range(1, displays))
    client.connect(SECONDS)
    client.wait_mark(SECONDS)
    if len(sys.argv) > 3:
        client.prefer_compression(int(sys.argv[3]))
    print(json.dumps({"ready": True}), flush=True)
    for line in client.lines(sys.stdin):
        barrier, display = map(int, line.split())
        reached = lambda: [m["id"] for m in client.monitors(display)] == [barrier]  # noqa: E731
        client.wait_until(reached, SECONDS, f"barrier {barrier} of display {display}")
        kind, width, height, rows = client.rows(display)
        answer = {"format": kind, "width": width, "height": height, "rows": base64.b64encode(rows).decode()}
        print(json.dumps(answer), flush=True)
    return 0


try:
    sys.exit(main())
except session.ClientError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
