"""Contracts as vendors and file names write them: ESH24, ESH4, ESH2024, ES_H24, ES 03-24, @ESH24."""

import re

from tradeproc.domain.instruments import INSTRUMENTS, MONTH_LETTERS, Contract
from tradeproc.domain.units import iso
from tradeproc.errors import Refusal
from tradeproc.market.tape_files.lines import UnreadableTape

_LETTERS = re.compile(rf"@?([A-Z0-9]{{1,4}}?)[ _-]?([{MONTH_LETTERS}])(20\d\d|\d\d?)(?![A-Za-z0-9])")
_NUMBERS = re.compile(r"([A-Z0-9]{1,4}) (\d\d)-(\d\d)(?![A-Za-z0-9])")


def contract_in(text: str, first_at: int) -> str | None:
    """Return the contract with which a text begins, or None.

    A year of one digit means the first year with that last digit, counted from the year before `first_at`.
    """
    if (match := _NUMBERS.match(text)) is not None and 1 <= int(match[2]) <= 12:
        return f"{match[1]}{MONTH_LETTERS[int(match[2]) - 1]}{match[3]}"
    if (match := _LETTERS.match(text)) is None:
        return None
    root, letter, year = match.groups()
    if len(year) == 1:
        last = int(iso(first_at)[:4]) - 1
        year = next(str(each) for each in range(last, last + 10) if each % 10 == int(year))
    return f"{root}{letter}{year[-2:]}"


def contract_of(text: str, first_at: int) -> str | None:
    """Return the contract that a whole text names, or None: a spread as `ESH4-ESM4` or a root alone is none."""
    found = contract_in(text, first_at)
    if found is None or (match := (_NUMBERS.match(text) or _LETTERS.match(text))) is None or match.end() != len(text):
        return None
    return found


def check_contract(code: str) -> str:
    """Return a contract's code if it can be traded here.

    Raises:
        UnreadableTape: it is none, or its root is not in the table.
    """
    try:
        root = Contract.parse(code).root
    except Refusal as error:
        raise UnreadableTape(None, str(error)) from None
    if root not in INSTRUMENTS:
        raise UnreadableTape(None, f"unknown instrument {root!r} in {code}; add it to domain/instruments.py")
    return code
