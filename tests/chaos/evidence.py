"""What the logs say, and since when: a fault that leaves no line in any log was not seen by anybody."""

import re
from pathlib import Path


class Evidence:
    """Reads what was appended to the logs of a desk since `mark`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets: dict[Path, int] = {}
        self._text = ""
        self.mark()

    def mark(self) -> None:
        """Forget everything so far."""
        self._offsets = {path: path.stat().st_size for path in self._folder.glob("*.log")}
        self._text = ""

    def text(self) -> str:
        """Return all lines since the mark, in no order between files."""
        for path in self._folder.glob("*.log"):
            offset = self._offsets.get(path, 0)
            size = path.stat().st_size
            if size < offset:  # rotated
                offset = 0
            if size > offset:
                with path.open("rb") as file:
                    file.seek(offset)
                    read = file.read()
                self._offsets[path] = offset + len(read)
                self._text += read.decode(errors="replace")
        return self._text

    @staticmethod
    def shows(pattern: str, text: str) -> bool:
        """Tell whether some line matches."""
        return re.search(pattern, text, re.MULTILINE) is not None
