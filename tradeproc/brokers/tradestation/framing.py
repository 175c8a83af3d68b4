"""Pure: JSON objects out of a stream's bytes, wherever the network cut them.

A newline follows each object, but one chunk may hold several objects, one object may span chunks, and a proxy may
have eaten the newlines. Whole lines are read at once; the rest is searched for the brace that closes the object.
What cannot be JSON garbles the stream for good: a fill may have been in it, only a new snapshot helps.

Source: TradeStation API v3, "HTTP Streaming" (variable length chunks).
"""

import re

from tradeproc.brokers.tradestation.fields import Json, parse_object

_LARGEST_OBJECT = 1 << 20
_SHOWN = 80
_BLANKS = b" \t\r\n"
_OUTSIDE_STRING = re.compile(rb'["{}]')
_INSIDE_STRING = re.compile(rb'["\\]')


class Framer:
    """Collects bytes and hands out the objects that are complete; `trouble` says why there will be no more."""

    def __init__(self) -> None:
        self.trouble = ""
        self._bytes = bytearray()
        self._restart()

    def feed(self, chunk: bytes) -> list[Json]:
        """Return the objects that this chunk completes, in order."""
        if self.trouble:
            return []
        self._bytes += chunk
        found: list[Json] = []
        position = 0
        while (end := self._next_end(position)) is not None:
            entry = parse_object(bytes(memoryview(self._bytes)[position:end]).strip())
            if entry is None:
                self._garble(position)
                break
            found.append(entry)
            position = end
            self._restart()
        self._drop(position)
        if len(self._bytes) > _LARGEST_OBJECT:
            self._garble(0)
        return found

    @property
    def has_rest(self) -> bool:
        """Tell whether an object has begun and not ended: then the stream was cut in the middle of it."""
        return bool(self._bytes.strip(_BLANKS))

    def _restart(self) -> None:
        self._scanned, self._depth, self._in_string = 0, 0, False

    def _drop(self, position: int) -> None:
        del self._bytes[:position]
        if not self._depth:
            self._bytes = self._bytes.lstrip(_BLANKS)
            self._scanned = 0

    def _next_end(self, start: int) -> int | None:
        """The index behind the object that begins at `start`, or None when it is not complete yet.

        `_scanned` counts from `start`, so that a long object is searched only once.
        """
        while not self._depth and start + self._scanned < len(self._bytes):
            byte = self._bytes[start + self._scanned]
            if byte in _BLANKS:
                self._scanned += 1
            elif byte == ord("{"):
                break
            else:
                self._garble(start)
                return None
        return self._line_end(start) or self._closing_brace(start)

    def _line_end(self, start: int) -> int | None:
        """The usual case: a whole line that has not been searched yet and looks like one object."""
        begin = start + self._scanned
        newline = self._bytes.find(b"\n", begin) if not self._depth else -1
        if newline < 0:
            return None
        line = bytes(self._bytes[begin:newline])
        return newline if parse_object(line) is not None else None

    def _closing_brace(self, start: int) -> int | None:
        at = start + self._scanned
        while True:
            found = (_INSIDE_STRING if self._in_string else _OUTSIDE_STRING).search(self._bytes, at)
            if found is None:
                self._scanned = len(self._bytes) - start
                return None
            at = found.end()
            match found.group():
                case b'"':
                    self._in_string = not self._in_string
                case b"\\":
                    if at >= len(self._bytes):  # the escaped byte has not come yet: look at the backslash again
                        self._scanned = found.start() - start
                        return None
                    at += 1
                case b"{":
                    self._depth += 1
                case _:
                    self._depth -= 1
                    if self._depth <= 0:
                        return at

    def _garble(self, position: int) -> None:
        head = bytes(self._bytes[position : position + _SHOWN])
        self.trouble = f"bytes that are no JSON: {head.decode('ascii', 'backslashreplace')!r}"
