"""A desk whose Python is a shell script first, which may fail or wait as a drill wants."""

import shutil
import sys
from pathlib import Path

from tests.drills.desk import Desk


def replace_interpreter(desk: Desk, script: str) -> None:
    """Let a shell script run before each of the desk's processes; `{home}` in it is the desk's home."""
    venv = desk.home.root / ".venv"
    venv.unlink()
    programs = venv / "bin"
    programs.mkdir(parents=True)
    python = programs / "python"
    python.write_text(f'#!/bin/sh\n{script.format(home=desk.home.root)}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    shutil.copy(Path(sys.prefix) / "bin" / "supervisord", programs)
