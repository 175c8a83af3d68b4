"""The limits of portfolios and accounts beside the heat: what stands against an entry, and when one is latched; pure.

A loss that reaches its limit is told as `LimitReached` and latches the scope, until a person lifts that latch with a
reason; what then counts begins at that moment. Limits on contracts, worth and number of entries refuse the entry that
would pass them, with what other sessions were granted and have not reported yet counted in. While a sum is not known
an entry waits like one whose heat is unknown. The rules on losses themselves are in `engine/joint_losses.py`.
"""

from collections.abc import Iterator
from decimal import Decimal

from tradeproc.domain.joint_limits import JointLimits
from tradeproc.domain.units import Money, Nanos
from tradeproc.engine import joint_losses as rules
from tradeproc.engine.joint_losses import EQUITY, Figures
from tradeproc.procs.portfolio.ledger_values import JointRead, JointScope, JointWatch, Ledger, LimitReached
from tradeproc.protocol.heat_messages import HeatQuestion, HeatReport, JointStanding
from tradeproc.protocol.scopes import Scope

_NONE = Decimal(0)


def read(ledger: Ledger, event: JointRead) -> None:
    """Take over which limits there are, and what the database knows of their latches.

    Marks are taken only when the scope is new to this life: later ones are our own. They outlive their portfolio, so
    that one that is removed and created again on the same market day has lost what it had lost.
    """
    found = {}
    for known in event.scopes:
        watch = ledger.joint.get(known.scope)
        if watch is None:
            marks = event.marks.get(known.scope)
            watch = JointWatch(known, rules.continued(marks, known.limits, known.created_at))
        watch.known = known
        watch.is_closed = known.scope in event.closed
        watch.tripped, watch.tripped_at = event.tripped.get(known.scope, ("", Nanos(0)))
        lifted = event.lifted.get(known.scope, Nanos(0))
        armed_at = Nanos(0) if watch.marks is None else watch.marks.armed_at
        watch.rearm_at = lifted if lifted not in (0, armed_at) else None
        found[known.scope] = watch
    ledger.joint = found


def review(ledger: Ledger, now: Nanos, wall: Nanos) -> Iterator[LimitReached]:
    """Follow the profits of this moment, and tell which limits are reached; `now` is monotonic, `wall` the time."""
    for watch in ledger.joint.values():
        if not watch.known.limits.watch_losses:
            continue
        figures = figures_of(ledger, watch.known, now)
        day = rules.market_day(watch.known.limits, wall)
        watch.marks = rules.followed(watch.marks, watch.known.scope, figures, day)
        if watch.rearm_at is not None and not figures.unknown:
            watch.marks = rules.rearmed(watch.marks, figures, watch.rearm_at)
            watch.rearm_at = None
        if watch.tripped or watch.is_closed or watch.rearm_at is not None:
            continue
        reason = rules.reached(watch.known.limits, watch.marks, figures)
        if reason:
            watch.tripped, watch.tripped_at = f"{Scope(watch.known.scope).in_words}: {reason}", wall
            yield LimitReached(watch.known.scope, watch.tripped, wall)


def against(ledger: Ledger, question: HeatQuestion, now: Nanos) -> tuple[str, bool]:
    """Return what stands against an entry, empty when nothing does, and whether waiting changes nothing."""
    for watch in ledger.joint.values():
        if question.session not in watch.known.sessions:
            continue
        if watch.tripped:
            return watch.tripped, True
        whose, limits = Scope(watch.known.scope).in_words, watch.known.limits
        if limits.watch_losses:
            figures = figures_of(ledger, watch.known, now)
            if figures.unknown or not _is_counted_from(watch, figures):
                return f"{whose}: the profit is unknown: {figures.unknown or 'it was not counted yet'}", False
        reports, unknown = _reports(ledger, watch.known, now)
        if unknown and _counts_orders(limits):
            return f"{whose}: what works is unknown: {unknown}", False
        if reason := _too_much(ledger, watch.known, reports, question):
            return f"{whose}: {reason}", True
    return "", True


def _is_counted_from(watch: JointWatch, figures: Figures) -> bool:
    """Tell whether every profit has been looked at once: what is lost from now on is then seen."""
    marks = watch.marks
    return marks is not None and watch.rearm_at is None and figures.profits.keys() <= marks.profits.keys()


def standing(ledger: Ledger, watch: JointWatch, now: Nanos) -> JointStanding:
    """Return how the limits of a scope stand, for people and for the traders."""
    known, limits = watch.known, watch.known.limits
    figures = figures_of(ledger, known, now) if limits.watch_losses else None
    reports, unknown = _reports(ledger, known, now)
    used = rules.used(limits, watch.marks, figures)
    allowed = {key: str(getattr(limits, key)) for key in used}
    if limits.max_notional is not None:
        allowed["max_notional"] = str(limits.max_notional)
        worth = _worth(ledger, known, reports)
        used["max_notional"] = "unknown" if unknown or worth is None else f"{worth:.2f}"
    if limits.max_orders_per_minute is not None:
        allowed["max_orders_per_minute"] = str(limits.max_orders_per_minute)
        used["max_orders_per_minute"] = "unknown" if unknown else str(_entries(ledger, known, reports))
    for root, most in limits.max_position.items():
        allowed[f"max_position {root}"] = str(most)
        sides = (_contracts(ledger, known, reports, root, sign) for sign in (1, -1))
        used[f"max_position {root}"] = "unknown" if unknown else str(max(0, *sides))
    why = "" if figures is None else figures.unknown
    return JointStanding(known.scope, allowed, used, known.currency, why or unknown, watch.tripped, watch.tripped_at)


def figures_of(ledger: Ledger, known: JointScope, now: Nanos) -> Figures:
    """Return what is known of the profits of a scope's sessions, or of the account's money."""
    return _of_account(ledger, known, now) if known.account else _of_sessions(ledger, known, now)


def _of_account(ledger: Ledger, known: JointScope, now: Nanos) -> Figures:
    """Return the account's money; of several sessions that heard it one after the other the smallest counts."""
    members = frozenset((EQUITY,))
    told = [each for _, each in ledger.reports_of(known.account, now)]
    pairs = [
        (each.equity, each.day_profit) for each in told if each.equity is not None and each.day_profit is not None
    ]
    if not pairs:
        return Figures({}, members, unknown=f"no session has told the money of account {known.account} for 5 min")
    for each in told:
        if each.equity is not None and each.equity_currency != known.currency:
            return Figures({}, members, unknown=f"it is in {each.equity_currency}, its limits in {known.currency}")
    equity, today = min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
    return Figures({EQUITY: equity}, members, today=today, currency=known.currency)


def _of_sessions(ledger: Ledger, known: JointScope, now: Nanos) -> Figures:
    profits: dict[str, Money] = {}
    lost, unknown = set(), ""
    for session, member in sorted(known.sessions.items()):
        report, why = ledger.report(session, now)
        if report is None:
            unknown = unknown or (f"session {session} {why}" if member.may_have_heat else "")
            continue
        if report.is_unpriced:
            lost.add(str(session))
        if report.currency != known.currency:
            unknown = unknown or f"session {session} trades in {report.currency}"
        elif report.profit is None:
            reason = report.profit_unknown or "its trader is of an earlier version"
            unknown = unknown or f"session {session}: {reason}"
        else:
            profits[str(session)] = report.profit
    members = frozenset(map(str, known.sessions))
    return Figures(profits, members, frozenset(lost), unknown=unknown, currency=known.currency)


# --- contracts, worth and number of entries


def _counts_orders(limits: JointLimits) -> bool:
    return bool(limits.max_position) or limits.max_notional is not None or limits.max_orders_per_minute is not None


def _too_much(ledger: Ledger, known: JointScope, reports: dict[int, HeatReport], question: HeatQuestion) -> str:
    limits, most = known.limits, known.limits.max_position.get(question.product)
    if most is not None and question.contracts:
        sign = 1 if question.contracts > 0 else -1
        worst = _contracts(ledger, known, reports, question.product, sign)
        if worst + abs(question.contracts) > most:
            more = abs(question.contracts)
            return f"max_position {question.product} {most}: {worst} to that side and {more} more would pass it"
    if limits.max_orders_per_minute is not None and not question.is_change:
        # the trader has made the entry that it asks for, so a report may count it already
        before = _entries(ledger, known, reports) - _is_counted(reports, question)
        if before >= limits.max_orders_per_minute:
            return f"max_orders_per_minute: {limits.max_orders_per_minute} entries were made in the last minute"
    if limits.max_notional is not None and question.contracts:
        worth = _worth(ledger, known, reports)
        if question.notional is None or worth is None:
            return "max_notional: no last price is known"
        if worth + question.notional > limits.max_notional:
            return (
                f"max_notional {limits.max_notional} {known.currency}: {worth:.2f} and {question.notional:.2f} more "
                "would pass it"
            )
    return ""


def _contracts(ledger: Ledger, known: JointScope, reports: dict[int, HeatReport], root: str, sign: int) -> int:
    """Return how far the positions in a product could go to one side together."""
    worst = sum(max(each.long if sign > 0 else each.short, 0) for each in reports.values() if each.product == root)
    reserved = (each for each in _reserved(ledger, known) if each.product == root)
    return worst + sum(max(each.contracts * sign, 0) for each in reserved)


def _worth(ledger: Ledger, known: JointScope, reports: dict[int, HeatReport]) -> Decimal | None:
    """Return what all positions and working entries are worth, None while the price of one is not known."""
    amounts = [
        *(each.notional for each in reports.values()),
        *(each.notional for each in _reserved(ledger, known)),
    ]
    found = _NONE
    for amount in amounts:
        if amount is None:
            return None
        found += amount
    return found


def _entries(ledger: Ledger, known: JointScope, reports: dict[int, HeatReport]) -> int:
    """Return how many entries were made in the last minute, with those that no report counts yet."""
    reserved = [each for each in _reserved(ledger, known) if not each.is_change]
    unreported = (each for each in reserved if not _is_counted(reports, each))
    return sum(each.entries_made for each in reports.values()) + sum(1 for _ in unreported)


def _is_counted(reports: dict[int, HeatReport], question: HeatQuestion) -> bool:
    """Tell whether the newest report was made after the entry that a question is about."""
    report = reports.get(question.session)
    return report is not None and (report.fence, report.asked) >= (question.fence, question.number)


def _reserved(ledger: Ledger, known: JointScope) -> list[HeatQuestion]:
    return [
        reservation.question
        for (session, _, _), reservation in ledger.reservations.items()
        if session in known.sessions
    ]


# --- reports


def _reports(ledger: Ledger, known: JointScope, now: Nanos) -> tuple[dict[int, HeatReport], str]:
    """Return the reports of a scope's sessions, and whose is missing although it may have orders or a position."""
    found, unknown = {}, ""
    holding = {session for session, _, _ in ledger.reservations}
    for session, member in sorted(known.sessions.items()):
        report, why = ledger.report(session, now)
        if report is not None and (report.heat is None or not report.product):
            why, report = f": {report.unknown or 'its trader is of an earlier version'}", None
        if report is not None:
            found[session] = report
        elif member.may_have_heat or session in holding:
            unknown = unknown or f"session {session} {why}".replace(" :", ":")
    return found, unknown
