"""TradeStation's names and price scales of futures, to and from the exchange's.

A contract is root, month letter, two digits of the year (`ESH26`); its last three characters are cut off before the
root is looked up, because roots collide as prefixes (`C` is corn, `CL` crude oil). `@ES` is the continuous contract.
Yen futures are quoted at a hundred times the exchange's price; both directions are undone here and nowhere else.

Source: TradeStation API v3, "Symbology" (futures roots and continuous contracts).
"""

import re
from decimal import Decimal

from tradeproc.domain.instruments import MONTH_LETTERS, BadContract, Contract
from tradeproc.domain.units import Price, plain
from tradeproc.errors import Refusal

# canonical root → TradeStation's, where they differ
_RENAMED = """
6A AD  6B BP  6C CD  6E EC  6J JY  6L BR  6M MP1 6N NE1 6R RU  6S SF  6Z RA
ZB US  ZN TY  ZF FV  ZT TU  TN TEN ZQ FF  GE ED
ZC C   ZS S   ZW W   ZL BO  ZM SM  ZO O   ZR RR  KE KW  XC YC  XK YK  XW YW
LE LC  HE LH  GF FC  LBS LB DC DA
NKD NK RX REI B BRN  QG QN  G ULS  Z LZ   I LT2  R LJ   C CC3
"""
_SAME = """
ES NQ YM RTY EMD MES MNQ MYM M2K VX VXM SMC
BTC MBT ETH MET BTM
E7 J7 M6A M6B M6E DX MJY ENY
UB TWE SR1 SR3 2YY 5YY 10Y 30Y
GC SI HG PL PA ALI MGC SIL MHG
CL NG HO RB QM QH QU BZ MCL MNG MHO MRB
KC CT OJ CC SB CB LBR
FDAX FDXM FDXS FESX FSXE FSTB FSTG FSTU FGBS FGBM FGBL FGBX FOAT
"""
_words = _RENAMED.split()
TO_BROKER: dict[str, str] = dict(zip(_words[::2], _words[1::2], strict=True)) | {root: root for root in _SAME.split()}
TO_CANONICAL: dict[str, str] = {theirs: ours for ours, theirs in TO_BROKER.items()}

# canonical roots whose TradeStation price is a multiple of the exchange's
_SCALES: dict[str, Decimal] = dict.fromkeys(("6J", "J7", "MJY", "ENY"), Decimal(100))
_ONE = Decimal(1)

_CONTRACT = re.compile(rf"([A-Z0-9]{{1,4}})([{MONTH_LETTERS}])(\d\d)", re.ASCII)
_CONTINUOUS = re.compile(r"@([A-Z0-9]{1,4})(?:=.*)?", re.ASCII)

_FOREIGN = "tradestation:"


class UnsupportedRoot(Refusal):
    """A root that TradeStation does not trade, or that we cannot name; caught where the symbol came in."""

    def __init__(self, root: str) -> None:
        self.root = root
        super().__init__(f"TradeStation has no futures root {root!r} that we know")


class TradeStationSymbols:
    """The symbol adapter; pure, and defined for all roots of the table above."""

    def to_broker_symbol(self, contract: Contract) -> str:
        """Return TradeStation's symbol of one contract.

        Raises:
            UnsupportedRoot: the root is not in the table.
        """
        return f"{self._root(contract.root)}{MONTH_LETTERS[contract.month - 1]}{contract.year % 100:02d}"

    def to_contract(self, broker_symbol: str) -> Contract:
        """Return the canonical contract; case does not matter, variants such as `ESZ26.D` are refused.

        Raises:
            BadContract: the text has not the form of a contract.
            UnsupportedRoot: the root is not in the table.
        """
        match = _CONTRACT.fullmatch(broker_symbol.upper())
        if match is None:
            raise BadContract(broker_symbol)
        root, letter, digits = match.groups()
        if root not in TO_CANONICAL:
            raise UnsupportedRoot(root)
        year = int(digits)
        century = 1900 if year >= 70 else 2000
        return Contract(TO_CANONICAL[root], century + year, MONTH_LETTERS.index(letter) + 1)

    def to_continuous_symbol(self, root: str) -> str:
        """Return the symbol of the back-adjusted continuous contract; data only, never an order.

        Raises:
            UnsupportedRoot: the root is not in the table.
        """
        return f"@{self._root(root)}"

    def to_root_symbol(self, broker_symbol: str) -> str:
        """Return the canonical root of a contract or a continuous symbol (`@ES`, `@ES=107XC`).

        Raises:
            BadContract: the text has neither form.
            UnsupportedRoot: the root is not in the table.
        """
        match = _CONTINUOUS.fullmatch(broker_symbol.upper())
        if match is None:
            return self.to_contract(broker_symbol).root
        if match.group(1) not in TO_CANONICAL:
            raise UnsupportedRoot(match.group(1))
        return TO_CANONICAL[match.group(1)]

    def supports_continuous_contract(self, root: str) -> bool:
        """Tell whether there is a continuous contract: for every root we can name."""
        return root in TO_BROKER

    def supports_symbol(self, root: str) -> bool:
        """Tell whether the root is in the table."""
        return root in TO_BROKER

    def _root(self, root: str) -> str:
        try:
            return TO_BROKER[root]
        except KeyError:
            raise UnsupportedRoot(root) from None


SYMBOLS = TradeStationSymbols()


def contract_code(broker_symbol: str) -> str:
    """Return the canonical code of the broker's symbol, or the symbol with a prefix if it has none.

    A position must stay visible even if we cannot trade it. The prefix keeps it from being taken for one of our
    codes.
    """
    try:
        return SYMBOLS.to_contract(broker_symbol).code
    except Refusal:
        return f"{_FOREIGN}{broker_symbol.upper()}"


def looks_like_future(broker_symbol: str) -> bool:
    """Tell whether the text has the form of a futures contract of a root we know."""
    return not contract_code(broker_symbol).startswith(_FOREIGN)


def scale_of(code: str) -> Decimal:
    """Return TradeStation's price of a canonical contract code divided by the exchange's."""
    return _SCALES.get(code[:-3], _ONE)


def from_wire(price: Decimal, code: str) -> Price:
    """Return the exchange's price for a price of TradeStation."""
    scale = scale_of(code)
    return Price(price if scale == _ONE else price / scale)


def to_wire(price: Decimal, contract: Contract) -> str:
    """Return a price as TradeStation takes it: a plain decimal string without padding and exponent."""
    return f"{plain(price * _SCALES.get(contract.root, _ONE)):f}"
