"""Who sets a latch of itself, as its row names it; lifting one of these takes a reason.

They stand apart from the code that sets them, so that the keeper, which only asks for the reason, loads no engine.
"""

from typing import Final

EXTERNAL: Final = "external_policy"
"""The session's position was changed by no order of ours."""

INERT_STOP: Final = "inert_stop_watch"
"""A stop of the login's broker was traded through and did nothing."""

LIMIT: Final = "loss_limit"
"""The session reached a loss limit."""

ROLL: Final = "roll"
"""A roll went wrong, or cannot be undone."""
