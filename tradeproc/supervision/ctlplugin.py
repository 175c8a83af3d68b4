"""A plugin of supervisorctl that finds supervisord's socket in a home whose path is too long for one.

supervisord reads the shorter address from `run/groups/sockets.conf`; supervisorctl reads no included files.
"""

from pathlib import Path
from typing import Any

from supervisor.supervisorctl import ControllerPluginBase

from tradeproc.home import Home


def make_plugin(controller: Any, **_config: str) -> ControllerPluginBase:
    """Point supervisorctl at the socket of the home whose `supervisord.conf` it was given."""
    configured = Path(controller.options.serverurl.removeprefix("unix://"))
    home = Home(Path(controller.options.here))
    if configured == home.run / "sockets" / "supervisor.sock":
        controller.options.serverurl = f"unix://{home.supervisor_socket}"
    return ControllerPluginBase(controller)
