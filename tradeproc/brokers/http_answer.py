"""One answer of an HTTP/1.1 server, read off its bytes as they come; pure.

httptools reads them, which is the reader of Node.js in C and strict: what has two lengths, wrong ends of lines or an
impossible status is no answer. Heads without end and changes of protocol are refused here; after bytes behind its end
the connection carries no other request.

Source: RFC 9112, "HTTP/1.1" (message body length, interim answers, closing of connections).
"""

import zlib

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from tradeproc.errors import Refusal

LARGEST_HEAD = 100_000


class BadAnswer(Refusal):
    """Bytes that are no answer of HTTP/1.1, or end in the middle of one; caught by who closes the connection."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"not an HTTP answer: {reason}")


class HttpAnswer:
    """Takes the bytes of a connection with `feed` and `end`, and hands out the body with `taken`.

    `headers` have names in lower case; of several with the same name the last one counts.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.is_head_read = self.is_complete = False
        self._keeps_open = self._ends_with_connection = False
        self._head_bytes = 0
        self._body: list[bytes] = []
        self._parser = HttpResponseParser(self)

    @property
    def may_follow_another(self) -> bool:
        """Tell whether the connection can carry another request."""
        return self.is_complete and self._keeps_open

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            BadAnswer: they are not those of an answer.
        """
        if not self.is_head_read:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._keeps_open = False
            if not self.is_complete:
                raise BadAnswer(f"{type(error).__name__}: {error}"[:200]) from None
        if not self.is_head_read and self._head_bytes > LARGEST_HEAD:
            raise BadAnswer(f"its head is longer than {LARGEST_HEAD} bytes")

    def end(self) -> None:
        """Learn that the server has hung up, which is the end of an answer that tells no length.

        Raises:
            BadAnswer: the answer is not complete.
        """
        if not self.is_complete and not (self.is_head_read and self._ends_with_connection):
            raise BadAnswer("the server hung up in the middle of it" if self._head_bytes else "the server hung up")
        self.is_complete, self._keeps_open = True, False

    def taken(self) -> bytes:
        """Return the bytes of the body that came since the last call, as they were sent."""
        taken = b"".join(self._body)
        self._body.clear()
        return taken

    # --- called by the parser; bytes behind a complete answer reach none of these that changes something

    def on_message_begin(self) -> None:
        """Begin an answer, or notice that one follows that nobody asked for."""
        if self.is_complete:
            self._keeps_open = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; those behind the body, and those of interim answers, have no meaning here."""
        if not self.is_head_read:
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        """Learn the status, and what will tell the end: a length, a last chunk or the end of the connection."""
        if self.is_complete:
            return
        self.status = self._parser.get_status_code()
        if self.status < 200:
            return
        self.is_head_read = True
        is_chunked = self.headers.get("transfer-encoding", "").lower().endswith("chunked")
        self._ends_with_connection = not is_chunked and "content-length" not in self.headers

    def on_body(self, data: bytes) -> None:
        """Keep bytes of the body."""
        if not self.is_complete:
            self._body.append(data)

    def on_message_complete(self) -> None:
        """Note the end; an interim answer (1xx) is followed by the real one."""
        if self.status < 200:
            self.headers.clear()
        elif not self.is_complete:
            self.is_complete, self._keeps_open = True, self._parser.should_keep_alive()


class Inflater:
    """Undoes the compression that an answer names, as far as it may become `largest` bytes in all."""

    def __init__(self, encoding: str, largest: int) -> None:
        self._left = largest
        named = encoding.strip().lower()
        # 47: gzip or zlib, by the first bytes
        self._inflate = zlib.decompressobj(47) if named in ("gzip", "x-gzip", "deflate") else None
        self._is_raw_possible, self._has_begun = named == "deflate", False

    @property
    def is_torn(self) -> bool:
        """Tell whether compressed bytes came and do not end."""
        return self._inflate is not None and self._has_begun and not self._inflate.eof

    def feed(self, data: bytes) -> bytes | None:
        """Return what the next bytes mean, or None if it becomes too large.

        Raises:
            BadAnswer: they are not what the compression makes.
        """
        if self._inflate is not None and data:
            data = self._inflated(self._inflate, data)
        self._left -= len(data)
        return data if self._left >= 0 else None

    def _inflated(self, inflate: "zlib._Decompress", data: bytes) -> bytes:
        try:
            found = inflate.decompress(data, self._left + 1)
        except zlib.error as error:
            if self._has_begun or not self._is_raw_possible:
                raise BadAnswer(f"its compression is broken: {error}") from None
            # some servers call bytes "deflate" that lack zlib's head
            self._inflate, self._is_raw_possible = zlib.decompressobj(-15), False
            return self._inflated(self._inflate, data)
        self._has_begun = True
        return found
