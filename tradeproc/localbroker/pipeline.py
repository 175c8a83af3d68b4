"""The steps of every API request.

These are faults that delay or refuse it, the check of its token, the handler, and faults that spoil the answer.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tradeproc.clock import SECOND, monotonic_ns, wall_ns
from tradeproc.errors import Refusal
from tradeproc.localbroker.context import ServerContext
from tradeproc.localbroker.faults import GARBLING, STREAMS, FaultName, InjectedFault, garbled
from tradeproc.localbroker.streams import StreamAnswer, reset
from tradeproc.localbroker.wakeups import FAULTS, ChangeSignals, Waiter

_REFUSING = frozenset({FaultName.UNAUTHORIZED, FaultName.TOO_MANY, FaultName.SERVER_ERROR})
_SPOILING = (
    frozenset({FaultName.ACCEPT_THEN_TIME_OUT, FaultName.HTML, FaultName.EMPTY, FaultName.TRUNCATED}) | GARBLING
)
_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_SLOW_SECONDS = 2.0
_RETRY_SECONDS = 5.0
_NEVER_SECONDS = 3600.0


class ApiError(Refusal):
    """A request that is answered with an error; `message` is for people."""

    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(message)


@dataclass(slots=True)
class Call:
    """One request: path parameters as sent, query keys in lower case, the body as bytes."""

    context: ServerContext
    path: Mapping[str, str]
    query: Mapping[str, str]
    raw: bytes

    def body(self) -> Mapping[str, Any]:
        """Return the body's JSON object.

        Raises:
            ApiError: the body is no JSON object.
        """
        try:
            found = orjson.loads(self.raw)
        except orjson.JSONDecodeError:
            raise ApiError(400, "The request body is no JSON.") from None
        if not isinstance(found, dict):
            raise ApiError(400, "The request body must be a JSON object.")
        return found


Handler = Callable[[Call], "Mapping[str, Any] | Response | StreamAnswer"]
AccountsOf = Callable[[Call], tuple[str, ...]]


class ResetAnswer(Response):
    """Resets the TCP connection instead of answering."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reset the connection and wait until it is gone."""
        reset(scope)
        while (await receive())["type"] != "http.disconnect":
            pass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of the API with its name for faults."""

    context: ServerContext
    endpoint: str
    handler: Handler
    accounts_of: AccountsOf

    async def answer(self, request: Request) -> Response | StreamAnswer:
        """Answer one request."""
        context = self.context
        context.count(self.endpoint)
        try:
            call = Call(context, request.path_params, _query(request), await request.body())
        except ClientDisconnect:
            return ResetAnswer()
        accounts = self.accounts_of(call)
        await hold(context, self.endpoint, accounts)
        refused = self._refusal(request, accounts)
        if refused is not None:
            return refused
        cut = None if self.endpoint in STREAMS else self._take({FaultName.CUT}, accounts)
        if cut is not None and cut.undone:
            return ResetAnswer()
        answer = self._answer(call)
        if cut is not None:
            return ResetAnswer()
        spoilt = self._take(_SPOILING, accounts) if isinstance(answer, Response) else None
        if spoilt is None or not isinstance(answer, Response):
            return answer
        return await _spoil(answer, spoilt, request, context)

    def _take(self, names: set[FaultName] | frozenset[FaultName], accounts: tuple[str, ...]) -> InjectedFault | None:
        return self.context.faults.take(names, self.endpoint, accounts)

    def _refusal(self, request: Request, accounts: tuple[str, ...]) -> Response | None:
        fault = self._take(_REFUSING, accounts)
        if fault is not None and fault.name is FaultName.TOO_MANY:
            seconds = int(fault.seconds if fault.seconds is not None else _RETRY_SECONDS)
            return self.context.forms.too_many(self.endpoint, seconds)
        if fault is not None and fault.name is FaultName.SERVER_ERROR:
            return self.context.forms.error(fault.status, "Something went wrong on our side.")
        is_good = self.context.sign_in.is_good(request.headers.get("authorization", ""), wall_ns())
        if fault is not None or not is_good:
            return self.context.forms.error(401, "The access token is missing, invalid or expired.")
        return None

    def _answer(self, call: Call) -> Response | StreamAnswer:
        try:
            found = self.handler(call)
        except ApiError as refused:
            return self.context.forms.error(refused.status, refused.message)
        finally:
            self.context.tell_changes()
        return found if isinstance(found, Response | StreamAnswer) else as_json(found)


async def hold(context: ServerContext, endpoint: str, accounts: tuple[str, ...] = ()) -> None:
    """Wait for as long as an active `slow` fault says; return at once without one."""
    slow = context.faults.take({FaultName.SLOW}, endpoint, accounts)
    if slow is not None:
        await asyncio.sleep(slow.seconds if slow.seconds is not None else _SLOW_SECONDS)


def as_json(body: Mapping[str, Any], status: int = 200) -> Response:
    """Return a JSON answer."""
    headers = {"cache-control": "no-store, no-cache, max-age=0"}
    return Response(orjson.dumps(body), status, headers, "application/json; charset=utf-8")


async def _spoil(answer: Response, fault: InjectedFault, request: Request, context: ServerContext) -> Response:
    if fault.name is FaultName.HTML:
        return Response(_PAGE, 502, media_type="text/html")
    if fault.name is FaultName.EMPTY:
        return Response(b"", answer.status_code, media_type="application/json")
    if fault.name in GARBLING:
        spoilt = garbled(orjson.loads(bytes(answer.body)), fault.name, context.forms.fields)
        return Response(orjson.dumps(spoilt), answer.status_code, media_type="application/json")
    if fault.name is FaultName.TRUNCATED:
        body = bytes(answer.body)
        return Response(body[: len(body) // 2], answer.status_code, media_type="application/json")
    seconds = fault.seconds if fault.seconds is not None else _NEVER_SECONDS
    is_told = await _waited(request, context.signals, seconds) and fault.seconds is not None
    return answer if is_told else ResetAnswer()


async def _waited(request: Request, signals: ChangeSignals, seconds: float) -> bool:
    """Wait for `seconds`; return False if the client leaves or the server ends before."""

    # the body was read already, so the next message can only say that the client has left
    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        waiter.leave()

    waiter = Waiter()
    signals.listen(waiter, [FAULTS])
    watching = asyncio.ensure_future(watch())
    end = monotonic_ns() + int(seconds * SECOND)
    try:
        while monotonic_ns() < end and not waiter.has_left and not signals.is_closing:
            await waiter.wait((end - monotonic_ns()) / SECOND)
    finally:
        watching.cancel()
        signals.forget(waiter)
    return not waiter.has_left and not signals.is_closing


def _query(request: Request) -> dict[str, str]:
    return {key.lower(): value for key, value in request.query_params.items()}
