"""A local broker without a home: `python -m tradeproc.localbroker FOLDER`, settings in FOLDER/settings.json.

`tradeproc/testing/brokers.py` starts it; a running desk starts `python -m tradeproc.procs localbroker` instead. The
port is written to FOLDER/port.
"""

import ctypes
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import orjson

from tradeproc.errors import EXIT_DONE, TradeprocError, exit_code
from tradeproc.folders import keep_to_ourselves
from tradeproc.localbroker.context import ServerContext
from tradeproc.localbroker.server import ServerSettings, serve
from tradeproc.localbroker.written import PORT, SETTINGS, settings_from
from tradeproc.logs import Throttled

_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Serve until told to stop, or until the parent process ends."""
    keep_to_ourselves()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    logging.basicConfig(level=logging.INFO, handlers=[Throttled()])
    folder = Path(sys.argv[1])
    found: dict[str, Any] = orjson.loads((folder / SETTINGS).read_bytes())
    settings: ServerSettings = settings_from(folder, found)

    def ready(port: int, context: ServerContext) -> None:
        fresh = folder / f"{PORT}.new"
        fresh.write_text(str(port))
        os.replace(fresh, folder / PORT)

    try:
        serve(settings, ready)
    except TradeprocError as error:
        sys.stderr.write(f"localbroker: {error}\n")
        return exit_code(error)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
