"""Consent without a browser, for a sign-in host on this machine only: follows where it sends us.

The quickstart's login is the local broker's, which consents to everybody; no real host is ever asked this way.
"""

import http.client
import secrets
from urllib.parse import urljoin, urlsplit

from tradeproc.brokers.contract import ConsentAnswer, ConsentAuthorization
from tradeproc.domain.hosts import is_loopback
from tradeproc.errors import Halt, Outage

_SECONDS = 5.0
_MOST_STEPS = 5


class NoLocalConsent(Outage):
    """The sign-in host on this machine cannot be reached or does not consent by itself; tried again."""


class NotThisMachine(Halt):
    """Asked to consent at a host that is not this machine; caught by `LoginTokens`."""


def consent_here(authorization: ConsentAuthorization, redirect_uri: str) -> ConsentAnswer:
    """Open the consent address, follow its redirects on this machine, and return the address that they end in.

    Raises:
        NoLocalConsent: nobody is there, or it shows a page to a person.
        NotThisMachine: the address, or a redirect, is at another host.
    """
    state = secrets.token_urlsafe(16)
    address = authorization.url(state)
    for _ in range(_MOST_STEPS):
        if address.startswith(redirect_uri):
            return ConsentAnswer(address, state)
        address = _redirect_of(address)
    raise NoLocalConsent(f"the sign-in host redirects us more than {_MOST_STEPS} times")


def _redirect_of(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme != "http" or parts.hostname is None or not is_loopback(address):
        raise NotThisMachine(f"{parts.hostname}: only a person consents there")
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=_SECONDS)
    try:
        connection.request("GET", f"{parts.path or '/'}?{parts.query}")
        answer = connection.getresponse()
        location = answer.getheader("Location")
    except (OSError, http.client.HTTPException) as error:
        raise NoLocalConsent(f"{parts.netloc}: {error}") from error
    finally:
        connection.close()
    if not 300 <= answer.status < 400 or not location:
        raise NoLocalConsent(f"{parts.netloc} answered {answer.status} instead of sending us on")
    return urljoin(address, location)
