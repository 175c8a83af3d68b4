"""What a campaign found: a result for each fault, a line about it, and the table."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One fault: when it was seen and when all was well again, seconds after it hit; what was violated.

    `is_void`: it met nothing and counts for no fault. A double fault is detected when both are.
    """

    number: int
    kind: str
    subject: str
    detected: float | None = None
    recovered: float | None = None
    violations: tuple[str, ...] = ()
    is_void: bool = False


def line_of(result: Result) -> str:
    """Return one line about one fault."""
    seen = "      –" if result.detected is None else f"{result.detected:6.2f}s"
    well = "      –" if result.recovered is None else f"{result.recovered:6.2f}s"
    verdict = "ok" if not result.violations else "VIOLATED: " + " | ".join(result.violations)
    verdict = "void, met nothing" if result.is_void and not result.violations else verdict
    return f"{result.number:4d} {result.kind:22s} {result.subject:34s} seen {seen} well {well} {verdict}"


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(results: Sequence[Result]) -> list[str]:
    """Return a line for each kind of fault: how many, detection and recovery p50, p95 and max, violations."""
    kinds: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        if not result.is_void or result.violations:
            kinds[result.kind].append(result)
            kinds["all"].append(result)
    width = max([24, *map(len, kinds)])
    lines = [
        f"{'fault':{width}s} {'n':>4s}  {'detected p50/p95/max':>24s}  {'recovered p50/p95/max':>24s}  violations"
    ]
    for kind, found in sorted(kinds.items(), key=lambda item: (item[0] == "all", item[0])):
        cells = [
            "–" if not values else f"{quantile(values, 0.5):.2f} / {quantile(values, 0.95):.2f} / {max(values):.2f} s"
            for values in (
                [each.detected for each in found if each.detected is not None],
                [each.recovered for each in found if each.recovered is not None],
            )
        ]
        violations = sum(bool(each.violations) for each in found)
        lines.append(f"{kind:{width}s} {len(found):4d}  {cells[0]:>24s}  {cells[1]:>24s}  {violations}")
    if void := sum(each.is_void and not each.violations for each in results):
        lines.append(f"{void} more met nothing and do not count")
    return lines
