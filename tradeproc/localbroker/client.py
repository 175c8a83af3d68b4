"""The client of a running local broker's control API, for `tradectl localbroker` and for tests.

The API lies under `/local/` and belongs to no real broker's protocol. Each request needs the key that the broker
made, see `control_key.py`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx

from tradeproc.errors import Outage, Refusal
from tradeproc.localbroker.control_key import HEADER

Body = dict[str, Any]


class LocalBrokerDown(Outage):
    """No local broker answers at the address; caught by the command that asked."""


class LocalBrokerRefused(Refusal):
    """The local broker refused, with its own text; caught by the command that asked."""


class LocalBroker:
    """A synchronous client of the control API; use it as a context manager, or call `close`."""

    def __init__(self, base_url: str, key: Path | None = None, *, seconds: float = 10.0) -> None:
        """Connect to nothing yet; the key is read with each request, because a new broker may have a new key."""
        self._key = key
        self._http = httpx.Client(
            base_url=base_url.rstrip("/").removesuffix("/v3"),
            timeout=seconds,
            trust_env=False,
            # no idle connections: a broker with too many closes idle ones, perhaps just when a request is sent on one
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def status(self) -> Body:
        """Return pace, market time, accounts, open streams, counters and all faults."""
        return self._ask("GET", "status")

    def speed(self, factor: float) -> Body:
        """Set market seconds per wall second."""
        return self._ask("POST", "speed", {"speed": factor})

    def pause(self) -> Body:
        """Stop market time; heartbeats go on."""
        return self._ask("POST", "pause")

    def resume(self) -> Body:
        """Let market time run again."""
        return self._ask("POST", "resume")

    def rewind(self, *, close: bool = False) -> Body:
        """Begin the tape again; `close` cancels orders and closes positions first, else open ones refuse it."""
        return self._ask("POST", "rewind", {"close": close})

    def fault(self, name: str, **options: object) -> Body:
        """Set a fault of `faults.py`: options are target, account, count, seconds, status, undone."""
        return self._ask("POST", "faults", {"name": name, **options})

    def faults(self) -> Body:
        """Return the active faults and the newest that were used up or cleared, each with what it hit."""
        return self._ask("GET", "faults")

    def clear_faults(self, name: str = "") -> Body:
        """Clear all faults, or those of a name; streams that one acts on recover."""
        return self._ask("DELETE", "faults", query={"name": name} if name else {})

    def ledger(self) -> Body:
        """Return the broker's own books: orders, fills and positions of all accounts."""
        return self._ask("GET", "ledger")

    def accounts(self) -> Body:
        """Return the accounts with their money."""
        return self._ask("GET", "accounts")

    def exposure(self) -> Body:
        """Return the positions and how many of their contracts working stops cover."""
        return self._ask("GET", "exposure")

    def reject(self, order_id: str, reason: str = "EC602") -> Body:
        """Reject an open order that was accepted before, as a real broker's back office does."""
        return self._ask("POST", "reject", {"order_id": order_id, "reason": reason})

    def end_day(self) -> Body:
        """Let all open DAY orders expire now."""
        return self._ask("POST", "end_day")

    def expire_tokens(self) -> Body:
        """Make all access tokens invalid at once; refresh tokens stay valid."""
        return self._ask("POST", "expire_tokens")

    def shutdown(self) -> Body:
        """Ask it to end; open streams are told a farewell."""
        return self._ask("POST", "shutdown")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _headers(self) -> dict[str, str]:
        return {} if self._key is None or not self._key.exists() else {HEADER: self._key.read_text().strip()}

    def _ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None, query: Mapping[str, str] | None = None
    ) -> Body:
        try:
            headers = self._headers()
            answer = self._http.request(method, f"/local/{path}", json=body, params=query, headers=headers)
            if answer.status_code == 403 and headers != self._headers():  # the broker made its key just now
                answer = self._http.request(
                    method, f"/local/{path}", json=body, params=query, headers=self._headers()
                )
            found = answer.json()
        except httpx.TransportError as error:
            raise LocalBrokerDown(f"no local broker answers at {self._http.base_url}: {error}") from None
        except OSError as error:
            raise LocalBrokerRefused(f"{self._key}: {error.strerror}") from None
        except (ValueError, RecursionError, httpx.DecodingError):
            raise LocalBrokerDown(f"what answers at {self._http.base_url} is no local broker") from None
        if answer.is_error or not isinstance(found, dict):
            raise LocalBrokerRefused(str(found.get("Message", found)) if isinstance(found, dict) else str(found))
        return found
