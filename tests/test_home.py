"""Where things are on disk, above all the sockets, whose addresses must be short."""

import os
import tempfile
from pathlib import Path

import pytest

from tradeproc.home import Home

LONGEST_NAME = "/link-tradestation.positions-SIM0000001234F.pub"


@pytest.mark.parametrize("temporary", ["/tmp", "/var/folders/zz/" + "x" * 60])
def test_a_deep_home_has_its_sockets_where_their_addresses_fit(
    monkeypatch: pytest.MonkeyPatch, temporary: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", temporary)
    near, deep = Home(Path("/srv/desk")), Home(Path("/srv") / ("d" * 120))

    assert near.sockets == Path("/srv/desk/run/sockets")
    assert len(os.fsencode(str(deep.sockets) + LONGEST_NAME)) <= 107
    assert deep.sockets != Home(Path("/srv") / ("e" * 120)).sockets
    assert len(os.fsencode(deep.supervisor_socket)) <= 98
    for home in (deep, Home(Path("/srv") / ("e" * 120))):
        home.forget_short_sockets()
