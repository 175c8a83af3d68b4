"""Texts that UTF-8 or PostgreSQL cannot hold: half a surrogate pair, and NUL.

They come from command lines with odd bytes, from brokers and from strategies. Code that records a text replaces such
characters and keeps the rest, because losing a halt or a fill would be worse than losing a character of its reason.
Files that a person wrote are refused instead.
"""

import re
from collections.abc import Mapping
from typing import Any

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """Return the text with each character that cannot be stored replaced by the replacement character."""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub(_REPLACEMENT, text)


def one_line(text: str, longest: int = 500) -> str:
    """Return a text of any origin as one storable line of bounded length."""
    told = " ".join(storable(text[: longest + 1]).split())
    return told if len(told) <= longest else f"{told[: longest - 1]}…"


def shown(text: str) -> str:
    """Return a text that is safe for a terminal or a log: characters that cannot be printed are escaped.

    These are line breaks, escape sequences, and the invisible marks that change the direction of writing.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def is_storable(text: str) -> bool:
    """Tell whether UTF-8 and PostgreSQL can hold a text as it is."""
    return storable(text) == text


def storable_value(value: Any) -> Any:
    """Return a JSON value with all its texts storable, and of type str itself: names of processes are a subclass."""
    if isinstance(value, str):
        return str(storable(value))
    if isinstance(value, Mapping):
        return {storable_value(key): storable_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [storable_value(each) for each in value]
    return value
