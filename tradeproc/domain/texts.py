"""Texts that UTF-8 or PostgreSQL cannot hold: half a surrogate pair, and NUL.

They come from command lines with odd bytes, from brokers and from strategies. Whatever records them replaces what
cannot be held and loses nothing else, because a halt or a fill is worth more than a letter of its reason. Files that
a person writes are refused instead.
"""

import re
from collections.abc import Mapping
from typing import Any

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """Return the text with the replacement character for each one that cannot be stored."""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub(_REPLACEMENT, text)


def one_line(text: str, longest: int = 500) -> str:
    """Return a text of any origin as one storable line of bounded length."""
    told = " ".join(storable(text[: longest + 1]).split())
    return told if len(told) <= longest else f"{told[: longest - 1]}…"


def shown(text: str) -> str:
    """Return a text as it may reach a terminal or a log: what cannot be printed is escaped.

    That is line breaks, escape sequences, and the invisible marks that turn the direction of what follows.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def is_storable(text: str) -> bool:
    """Tell whether UTF-8 and PostgreSQL can hold a text as it is."""
    return storable(text) == text


def storable_value(value: Any) -> Any:
    """Return a JSON value with all its texts storable, and plain: a name of a process is a text with more to say."""
    if isinstance(value, str):
        return str(storable(value))
    if isinstance(value, Mapping):
        return {storable_value(key): storable_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [storable_value(each) for each in value]
    return value
