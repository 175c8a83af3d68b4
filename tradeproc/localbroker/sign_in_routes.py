"""The routes of the sign-in host: consent, tokens, revocation.

Source: tradestation.md, "OAuth2".
"""

from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tradeproc.clock import wall_ns
from tradeproc.localbroker.desk import Desk
from tradeproc.localbroker.faults import FaultName
from tradeproc.localbroker.gate import ResetAnswer, as_json, error, hold, too_many
from tradeproc.localbroker.oauth import OAuthError


def sign_in_routes(desk: Desk) -> list[Route]:
    """Return the routes of the sign-in host."""

    async def authorize(request: Request) -> Response:
        try:
            return RedirectResponse(desk.sign_in.authorize(request.query_params, wall_ns()), 302)
        except OAuthError as refused:
            return as_json(refused.body, refused.status)

    async def token(request: Request) -> Response:
        trouble = await _trouble(desk, request)
        if trouble is not None:
            return trouble
        try:
            return as_json(desk.sign_in.token(await _form(request), wall_ns()))
        except OAuthError as refused:
            return as_json(refused.body, refused.status)

    async def revoke(request: Request) -> Response:
        try:
            desk.sign_in.revoke(await _form(request), wall_ns())
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
    if request.headers.get("content-type", "").startswith("application/json"):
        body = await request.json()
        return {str(key): str(value) for key, value in body.items()} if isinstance(body, dict) else {}
    # parsed by hand: starlette's forms want a package that is needed for uploads only
    return dict(parse_qsl((await request.body()).decode(errors="replace")))


async def _trouble(desk: Desk, request: Request) -> Response | None:
    desk.count("token")
    await hold(desk, "token")
    names = {FaultName.UNAUTHORIZED, FaultName.TOO_MANY, FaultName.SERVER_ERROR, FaultName.CUT}
    fault = desk.faults.take(names, "token", ())
    if fault is None:
        return None
    if fault.name is FaultName.UNAUTHORIZED:
        refused = OAuthError(403, "invalid_grant", "Unknown or invalid refresh token.")
        return as_json(refused.body, refused.status)
    if fault.name is FaultName.TOO_MANY:
        return too_many("token", int(fault.seconds or 5))
    if fault.name is FaultName.CUT:
        return ResetAnswer()
    return error(fault.status, "Something went wrong on our side.")
