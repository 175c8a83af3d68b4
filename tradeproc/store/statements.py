"""The named statements of `queries/*.sql`: all SQL that processes run is there, but for the migrations."""

import re
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "queries"
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def statements() -> dict[str, bytes]:
    """Return all statements by name, without their comments."""
    found: dict[str, bytes] = {}
    for file in sorted(_FOLDER.glob("*.sql")):
        _, *parts = _NAME.split(file.read_text())
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            if name in found:
                raise AssertionError(f"{file.name}: {name} is defined twice")
            lines = (line for line in text.splitlines() if not line.startswith("--"))
            found[name] = "\n".join(lines).strip().encode()
    return found
