"""The complete ledger: every request that arrived, every change of an order, every fill. Append-only."""

from typing import Any

Record = dict[str, Any]
