"""Whose name stands at a halt that followed from deaths; a trader needs these names and none of the restart rules."""

BY_WARDEN = "warden"
BY_TRADER = "warden (its trader died)"
"""Who halts a session whose trader died again and again with no bar decided; its strategy is called no more."""
