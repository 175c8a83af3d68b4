"""Where orders arrive: a socket between the desk and the local broker that notes when a request comes in.

Bytes go through untouched, both ways. An order on its way to the broker is noted; what is sent to `/baseline` or
`/durable`, the same order by bare httpx, is noted and answered at once. Prints a line for each:
`<order|baseline|durable> <wall ns of its first bytes> <limit price>`. Run as `python -m tradeproc.bench.sink PORT
BROKERS-PORT`.
"""

import asyncio
import re
import sys
import time

_CHUNK = 256 * 1024
_KINDS = {b"POST /v3/orderexecution/orders": "order", b"POST /baseline": "baseline", b"POST /durable": "durable"}
_BASELINES = ("baseline", "durable")
_PRICE = re.compile(rb'"LimitPrice":\s*"([\d.]+)"')
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Notes:
    """Notes the orders that pass through one connection."""

    def __init__(self) -> None:
        self._kind, self._at, self._seen = "", 0, b""

    def take(self, data: bytes, at: int) -> str:
        """Take bytes on their way to the broker; return the kind of the order that is complete with them."""
        for start, kind in _KINDS.items():
            if data.startswith(start):
                self._kind, self._at, self._seen = kind, at, b""
        if not self._kind:
            return ""
        self._seen += data
        found = _PRICE.search(self._seen)
        if found is None:
            return ""
        sys.stdout.write(f"{self._kind} {self._at} {found[1].decode()}\n")
        sys.stdout.flush()
        done, self._kind = self._kind, ""
        return done

    @property
    def is_baseline(self) -> bool:
        """Tell whether the request under way belongs to a baseline, so that it is not passed on."""
        return self._kind in _BASELINES


class Sink:
    """Accepts connections and passes them on."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side closes it.

        The broker is called only when something is passed on: it closes a connection that says nothing, and the
        references, whose requests end here, would lose theirs with it.
        """
        upstream: asyncio.StreamWriter | None = None
        returning: asyncio.Task[None] | None = None
        notes = Notes()
        try:
            while data := await reader.read(_CHUNK):
                at = time.time_ns()
                was_baseline = notes.is_baseline
                if notes.take(data, at) in _BASELINES:
                    writer.write(_ANSWER)
                elif not (was_baseline or notes.is_baseline):
                    if upstream is None:
                        there, upstream = await asyncio.open_connection("127.0.0.1", self._upstream)
                        returning = asyncio.create_task(_pump(there, writer))
                    upstream.write(data)
                    await upstream.drain()
        except OSError:
            pass  # the desk went away, or the broker; so does the connection
        finally:
            if upstream is not None:
                upstream.close()
            if returning is not None:
                returning.cancel()
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def main(port: int, upstream: int) -> None:
    """Serve for ever."""
    server = await asyncio.start_server(Sink(upstream).serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
