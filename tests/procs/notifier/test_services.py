"""Only those services of apprise are loaded that an address names, and none is lost by that."""

import subprocess
import sys
from importlib import import_module

import pytest
from apprise.manager_plugins import NotificationManager

from tradeproc.procs.notifier.services import load_services, modules_by_scheme, scheme_of

# declared over several names in their sources; apprise finds them by itself
LOOKED_FOR = {"kde", "dbus", "qt", "xbmc", "xbmcs", "kodi", "kodis"}


def test_each_scheme_that_apprise_knows_is_found_in_the_module_that_serves_it() -> None:
    manager = NotificationManager()
    manager.unload_modules()
    served = {scheme: manager[scheme].__module__ for scheme in manager.schemas()}

    found = modules_by_scheme()

    assert served.keys() - found.keys() <= LOOKED_FOR
    assert found.items() <= served.items()


@pytest.mark.parametrize(
    ("url", "scheme"),
    [("tgram://a/b", "tgram"), (" MAILTOS://x", "mailtos"), ("https://x/y", "https"), ("x", ""), ("", "")],
)
def test_the_scheme_of_an_address(url: str, scheme: str) -> None:
    assert scheme_of(url) == scheme


def test_what_is_not_found_is_left_to_apprise() -> None:
    assert not load_services(["json://a", "hunter2://b"])
    assert "mailto" in NotificationManager()
    assert load_services(["json://a", "jsons://b", "tgram://c"])
    assert "mailto" not in NotificationManager()
    assert not load_services(["json://a", "https://discord.example/webhook"])
    assert "mailto" in NotificationManager()


def test_a_notifier_with_one_service_has_not_loaded_the_others() -> None:
    code = (
        "import sys; from tradeproc.procs.notifier.services import load_services; "
        "from tradeproc.procs.notifier.targets import Target; "
        "assert load_services(['json://127.0.0.1']); Target(1, 'json://127.0.0.1'); "
        "print(sum(name.startswith('apprise.plugins.') for name in sys.modules))"
    )

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert int(told.stdout) < 10
    assert import_module("apprise.plugins.email") is not None
