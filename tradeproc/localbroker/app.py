"""The ASGI application: a dialect's routes and the control API; other paths are answered with the dialect's error."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tradeproc.localbroker.context import ServerContext
from tradeproc.localbroker.control import control_routes
from tradeproc.localbroker.dialects import Dialect
from tradeproc.localbroker.wire_forms import WireForms


def make_app(context: ServerContext, dialect: Dialect) -> ASGIApp:
    """Return the ASGI application of one local broker."""
    forms = context.forms

    async def refused(request: Request, refused: Exception) -> Response:
        status = refused.status_code if isinstance(refused, HTTPException) else 500
        return forms.error(status, f"No such resource: {request.method} {request.url.path}")

    async def failed(request: Request, failed: Exception) -> Response:
        # starlette raises the exception again after this answer, so it is still logged with its stack
        return forms.error(500, f"The local broker has a fault of its own: {type(failed).__name__}")

    app = Starlette(
        routes=[*dialect.routes(context), *control_routes(context)],
        exception_handlers={HTTPException: refused, ClientDisconnect: _gone, Exception: failed},
    )
    return _Spelled(app, forms)


async def _gone(request: Request, gone: Exception) -> Response:
    del request, gone  # the client has gone, so nobody reads the answer
    return Response(status_code=400)


class _Spelled:
    """Spells the path of each request as the dialect's routes are written, before they see it."""

    def __init__(self, app: ASGIApp, forms: WireForms) -> None:
        self._app, self._forms = app, forms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http":
            scope["path"] = self._forms.spell(scope["path"])
        await self._app(scope, receive, send)
