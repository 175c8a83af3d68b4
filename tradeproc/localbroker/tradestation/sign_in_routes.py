"""The routes of the sign-in host: consent, tokens, revocation.

Source: tradestation.md, "OAuth2".
"""

import base64
from urllib.parse import parse_qsl, unquote

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tradeproc.clock import wall_ns
from tradeproc.localbroker.context import ServerContext
from tradeproc.localbroker.faults import FaultName
from tradeproc.localbroker.pipeline import ResetAnswer, as_json, hold
from tradeproc.localbroker.tradestation.oauth import OAuthError, TradeStationSignIn


def sign_in_routes(context: ServerContext, sign_in: TradeStationSignIn) -> list[Route]:
    """Return the routes of the sign-in host."""

    async def authorize(request: Request) -> Response:
        try:
            return RedirectResponse(sign_in.authorize(request.query_params, wall_ns()), 302)
        except OAuthError as refused:
            return as_json(refused.body, refused.status)

    async def token(request: Request) -> Response:
        trouble = await _trouble(context, request)
        if trouble is not None:
            return trouble
        try:
            return as_json(sign_in.token(await _form(request), wall_ns()))
        except OAuthError as refused:
            return as_json(refused.body, refused.status)

    async def revoke(request: Request) -> Response:
        try:
            sign_in.revoke(await _form(request), wall_ns())
        except OAuthError as refused:
            return as_json(refused.body, refused.status)
        return Response(status_code=200)

    async def logout(request: Request) -> Response:
        return RedirectResponse(request.query_params.get("returnTo", "/"), 302)

    return [
        Route("/authorize", authorize, methods=["GET"]),
        Route("/oauth/token", token, methods=["POST"]),
        Route("/oauth/revoke", revoke, methods=["POST"]),
        Route("/v2/logout", logout, methods=["GET"]),
    ]


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form or a JSON body; the client may also name itself by Basic authentication."""
    body = await request.body()
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise OAuthError(400, "invalid_request", "The request body is no JSON.") from None
        fields = {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
    else:
        # parsed here, because starlette's forms need a package that is otherwise needed for uploads only
        fields = dict(parse_qsl(body.decode(errors="replace")))
    return _basic(request.headers.get("authorization", "")) | fields


def _basic(authorization: str) -> dict[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        client, _, secret = base64.b64decode(encoded).decode().partition(":")
    except ValueError:
        return {}
    return {"client_id": unquote(client), "client_secret": unquote(secret)}


async def _trouble(context: ServerContext, request: Request) -> Response | None:
    context.count("token")
    await hold(context, "token")
    names = {FaultName.UNAUTHORIZED, FaultName.TOO_MANY, FaultName.SERVER_ERROR, FaultName.CUT}
    fault = context.faults.take(names, "token", ())
    if fault is None:
        return None
    if fault.name is FaultName.UNAUTHORIZED:
        refused = OAuthError(403, "invalid_grant", "Unknown or invalid refresh token.")
        return as_json(refused.body, refused.status)
    if fault.name is FaultName.TOO_MANY:
        return context.forms.too_many("token", int(fault.seconds or 5))
    if fault.name is FaultName.CUT:
        return ResetAnswer()
    return context.forms.error(fault.status, "Something went wrong on our side.")
