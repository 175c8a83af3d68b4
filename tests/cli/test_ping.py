"""The ping of the health check, at real servers on loopback: told, refused, mute, slow and away."""

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tradeproc.cli import healthcheck
from tradeproc.cli.ping import address, ping
from tradeproc.domain.records import BadValue


class Switch(http.server.ThreadingHTTPServer):
    """A dead man's switch that remembers what it was told."""

    daemon_threads = True

    def __init__(self, status: int = 200) -> None:
        self.told: list[tuple[str, bytes]] = []
        self.status = status
        super().__init__(("127.0.0.1", 0), Told)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/ping/abc"


class Told(http.server.BaseHTTPRequestHandler):
    server: Switch

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.told.append((self.path, body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        del format, arguments


@pytest.fixture
def switch() -> Iterator[Switch]:
    server = Switch()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_switch_is_told_the_exit_code_and_the_problems(switch: Switch) -> None:
    assert ping(switch.url, 2, "CRITICAL disk: full") == ""

    assert switch.told == [("/ping/abc/2", b"CRITICAL disk: full")]


def test_a_switch_that_refuses_is_told_of_by_its_answer_alone(switch: Switch) -> None:
    switch.status = 404

    assert ping(switch.url, 0, "") == "answered 404"


def test_a_switch_that_never_answers_holds_nobody_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/secret"

        assert ping(url, 0, "", seconds=0.2) == "no answer within 0.2 s"


def test_a_switch_that_is_away_is_told_of_without_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    told = ping(f"http://127.0.0.1:{port}/secret", 0, "")

    assert told
    assert "secret" not in told


@pytest.mark.parametrize("url", ["ftp://x/y", "https:///abc", "secret", "http://[::1", "https://a b/c"])
def test_what_is_no_address_is_refused_and_not_shown(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadValue) as bad:
        address(url, None, tmp_path)

    assert url not in str(bad.value)


def test_the_address_may_stand_in_a_file_that_is_ours_alone(tmp_path: Path) -> None:
    file = tmp_path / "ping.url"
    file.write_text("https://switch.example/abc/\n")
    file.chmod(0o600)

    assert address(None, str(file), tmp_path) == "https://switch.example/abc"
    assert address(None, "ping.url", tmp_path) == "https://switch.example/abc"
    file.chmod(0o644)
    with pytest.raises(BadValue, match="0600"):
        address(None, str(file), tmp_path)


def test_a_health_check_without_a_desk_pings_its_code_and_keeps_it_when_the_switch_refuses(
    switch: Switch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = healthcheck.main(["--home", str(tmp_path), "--ping", switch.url])
    assert told == healthcheck.UNKNOWN
    assert capsys.readouterr().err == ""
    (path, body), switch.status = switch.told[0], 500

    refused = healthcheck.main(["--home", str(tmp_path), "--ping", switch.url])

    assert path == "/ping/abc/3"
    assert b"no supervisord.conf" in body
    assert refused == healthcheck.UNKNOWN
    assert capsys.readouterr().err == "healthcheck: the ping was not taken: answered 500\n"


def test_a_ping_that_is_no_address_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        healthcheck.main(["--home", str(tmp_path), "--ping", "hunter2"])

    assert "hunter2" not in capsys.readouterr().err.partition("error:")[2]
