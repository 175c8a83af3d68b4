"""The heat of every portfolio, and who may add to it: `step(ledger, event, now)` answers with effects; pure.

What counts is what the traders report, and what was granted since. A reservation is made with the grant and ends with
the first report that includes it: from then on it is the trader's heat, as an order, as a position or as nothing. So
heat in flight is counted twice at worst and never less than it is, in whatever order messages come. Of a session
whose trader is gone for good a reservation ends after a minute.

Nothing is stored. After a start the heat of a portfolio is unknown until each of its sessions has reported to this
life of the server. A question waits meanwhile, as long as its asker does, and is then refused with the reason.
"""

from collections.abc import Mapping
from decimal import Decimal

from tradeproc.domain.portfolio import PortfolioSpec, share
from tradeproc.domain.units import SECOND, Money, Nanos
from tradeproc.procs.portfolio import joint_book
from tradeproc.procs.portfolio.ledger_values import (
    BLOCKED,
    UNKNOWN,
    WARNED,
    ClockTicked,
    Grant,
    HeatAsked,
    HeatBlock,
    HeatReported,
    JointRead,
    KnownPortfolio,
    Ledger,
    LedgerEffect,
    LedgerEvent,
    PortfoliosRead,
    Refuse,
    Reservation,
    StandingChanged,
)
from tradeproc.protocol.heat_messages import GroupHeat, HeatQuestion, HeatReport, PortfolioHeat, SessionHeat

EXPIRES_AFTER = 60 * SECOND
UNKNOWN_AFTER = 60 * SECOND
"""So long the heat of a portfolio is unknown before people are told: until then the reason is a start, or a pause."""
_NOTHING = Money(Decimal(0))


def step(ledger: Ledger, event: LedgerEvent, now: Nanos) -> tuple[LedgerEffect, ...]:
    """Apply one event; `now` is monotonic nanoseconds. The ledger is updated in place."""
    match event:
        case PortfoliosRead(portfolios):
            ledger.portfolios = {each.spec.name: each for each in portfolios}
        case HeatReported(report):
            _reported(ledger, report, now)
        case HeatAsked():
            ledger.waiting[event.key] = event
            # the standing is told with the next report or tick, because somebody waits for this answer
            return tuple(_answers(ledger, now))
        case JointRead():
            joint_book.read(ledger, event)
        case ClockTicked(wall):
            _expire(ledger, now)
            if wall is not None:
                found = tuple(joint_book.review(ledger, now, wall))
                return (*found, *_answers(ledger, now), *_changes(ledger, now))
    return (*_answers(ledger, now), *_changes(ledger, now))


def _reported(ledger: Ledger, report: HeatReport, now: Nanos) -> None:
    known = ledger.reports.get(report.session)
    if report.life != ledger.life or (known is not None and _age(report) < _age(known[0])):
        # it was said before this life began, or overtook a newer one: it may lack what was granted since
        return
    ledger.reports[report.session] = report, now
    for place in [place for place in ledger.reservations if place[0] == report.session]:
        if _includes(report, place[1], place[2]):
            del ledger.reservations[place]


def _age(report: HeatReport) -> tuple[int, int]:
    return report.fence, report.sequence


def _includes(report: HeatReport, fence: int, number: int) -> bool:
    """Tell whether a report that knows the session's heat counts a reservation.

    A trader's next life, with its greater fence, knows what the one before has sent: each order is in the database
    before it leaves, and its heat is unknown until the broker has told what works.
    """
    if report.heat is None:
        return False
    return fence < report.fence or (number <= report.asked and number not in report.unanswered)


def _expire(ledger: Ledger, now: Nanos) -> None:
    """End the reservations of sessions that have none to report: they are stopped and flat, and long silent."""
    for place, reservation in list(ledger.reservations.items()):
        if now - reservation.at >= EXPIRES_AFTER and not _may_have_heat(ledger, place[0]):
            del ledger.reservations[place]


def _may_have_heat(ledger: Ledger, session: int) -> bool:
    if ledger.portfolios is None:
        return True
    return any(
        each.sessions[session].may_have_heat for each in ledger.portfolios.values() if session in each.sessions
    )


# --- sums


def standing(ledger: Ledger, portfolio: KnownPortfolio, now: Nanos) -> PortfolioHeat:
    """Return how a portfolio stands; its heat is unknown when that of one session is, and without equity.

    It is made anew only when something that it is made of has changed: it is asked for several times an event.
    """
    name, block = portfolio.spec.name, ledger.blocks.get(portfolio.spec.name)
    made_of = (
        portfolio.spec,
        portfolio.revision,
        dict(portfolio.sessions),
        [ledger.report(session, now) for session in portfolio.sessions],
        ledger.reports_of(portfolio.spec.account, now) if not portfolio.spec.equity else (),
        list(ledger.reservations.values()),
        "" if block is None else block.reason,
    )
    known = ledger.stood.get(name)
    if known is not None and known[0] == made_of:
        return known[1]
    stands = _standing(ledger, portfolio, now)
    ledger.stood[name] = made_of, stands
    return stands


def _standing(ledger: Ledger, portfolio: KnownPortfolio, now: Nanos) -> PortfolioHeat:
    spec = portfolio.spec
    groups = dict.fromkeys([*spec.groups, *(each.group for each in portfolio.sessions.values())], _NOTHING)
    reserved, unknown, members = _NOTHING, "", []
    for session, member in sorted(portfolio.sessions.items()):
        held = [each.question.heat for place, each in ledger.reservations.items() if place[0] == session]
        more = sum(held, Decimal(0))
        reserved = Money(reserved + more)
        heat, why = _heat_of(ledger, portfolio, session, now)
        if heat is None and (member.may_have_heat or held):
            unknown = unknown or f"session {session} {why}"
        else:
            why = ""
        told = None if why else Money((heat or _NOTHING) + more)
        members.append(SessionHeat(session, member.group, told, Money(more), why))
        groups[member.group] = Money(groups[member.group] + (heat or 0) + more)
    equity, why = _equity(ledger, portfolio, now)
    unknown = unknown or why
    block = ledger.blocks.get(spec.name)
    total = None if unknown else Money(sum(groups.values(), Decimal(0)))
    warn_at, block_at = (
        None if equity is None else share(equity, each) for each in (spec.warn_percent, spec.block_percent)
    )
    return PortfolioHeat(
        name=spec.name,
        sessions=tuple(sorted(portfolio.sessions)),
        currency=spec.currency,
        heat=total,
        unknown=unknown,
        reserved=reserved,
        equity=equity,
        warn_at=warn_at,
        block_at=block_at,
        is_warned=_is_warned(spec, total, groups, equity),
        blocked="" if block is None else block.reason,
        groups={name: _group(spec, name, heat, equity) for name, heat in groups.items()},
        members=tuple(members),
    )


def _group(spec: PortfolioSpec, name: str, heat: Money, equity: Money | None) -> GroupHeat:
    limits = spec.groups.get(name)
    if limits is None or equity is None:
        return GroupHeat(heat)
    return GroupHeat(heat, share(equity, limits.warn_percent), share(equity, limits.block_percent))


def _is_warned(spec: PortfolioSpec, total: Money | None, groups: Mapping[str, Money], equity: Money | None) -> bool:
    if total is None or equity is None:
        return False
    pairs = [(total, spec.warn_percent), *((groups[name], each.warn_percent) for name, each in spec.groups.items())]
    return any(heat >= share(equity, percent) for heat, percent in pairs)


def _heat_of(ledger: Ledger, portfolio: KnownPortfolio, session: int, now: Nanos) -> tuple[Money | None, str]:
    """Return the heat that a session has reported, None and why where it has not."""
    report, why = ledger.report(session, now)
    if report is None:
        return None, why
    revision = max(portfolio.revision, portfolio.sessions[session].added_at)
    if (report.portfolio, report.revision) != (portfolio.spec.name, revision):
        return None, "does not know the portfolio as it is now"
    if report.currency != portfolio.spec.currency:
        return None, f"trades in {report.currency}, the portfolio counts in {portfolio.spec.currency}"
    return report.heat, report.unknown or "does not know its heat"


def _equity(ledger: Ledger, portfolio: KnownPortfolio, now: Nanos) -> tuple[Money | None, str]:
    """Return what the limits are per cent of; None and why while nobody has told it."""
    spec = portfolio.spec
    if spec.equity:
        return Money(Decimal(spec.equity)), ""
    told = [report for session, report in ledger.reports_of(spec.account, now) if session in portfolio.sessions]
    known = [(report.equity, report.equity_currency) for report in told if report.equity is not None]
    if not known:
        return None, f"the equity of account {spec.account} is not known: no session of it has told it"
    other = next((currency for _, currency in known if currency != spec.currency), None)
    if other is not None:
        return None, f"account {spec.account} is in {other}, the portfolio in {spec.currency}"
    # sessions hear of the same balance one after the other; the smallest lets in the least
    return min(equity for equity, _ in known), ""


# --- answers


def _answers(ledger: Ledger, now: Nanos) -> list[LedgerEffect]:
    """Answer each question that can be answered, in the order in which they came."""
    found: list[LedgerEffect] = []
    for key, asked in list(ledger.waiting.items()):
        verdict, is_final = _verdict(ledger, asked.question, now)
        if verdict and not is_final and now < asked.until:
            continue
        del ledger.waiting[key]
        question = asked.question
        if verdict:
            found.append(Refuse(key, question, verdict))
        else:
            place = question.session, question.fence, question.number
            ledger.reservations[place] = Reservation(question, now)
            found.append(Grant(key, question))
    return found


def _verdict(ledger: Ledger, question: HeatQuestion, now: Nanos) -> tuple[str, bool]:
    """Return what stands against a question, empty when nothing does, and whether waiting changes nothing."""
    if ledger.portfolios is None:
        return "the portfolios are not read yet", False
    if problem := _never(ledger, question):
        return problem, True
    if question.life != ledger.life:
        return "the trader does not know that the portfolio server has restarted", False
    place = question.session, question.fence, question.number
    if place in ledger.reservations:
        # the answer is given again; what would not be admitted any more was admitted once
        return "", True
    against, is_final = joint_book.against(ledger, question, now)
    if against:
        return against, is_final
    return _hot(ledger, question, now) if question.portfolio else _placed(ledger, question)


def _placed(ledger: Ledger, question: HeatQuestion) -> tuple[str, bool]:
    """Return what stands against a session that says it is in no portfolio."""
    inside = [name for name, each in (ledger.portfolios or {}).items() if question.session in each.sessions]
    if inside:
        return f"session {question.session} does not know yet that it is in portfolio {inside[0]}", False
    if question.session not in ledger.reports:
        return f"session {question.session} has not reported", False
    return "", True


def _hot(ledger: Ledger, question: HeatQuestion, now: Nanos) -> tuple[str, bool]:
    """Return what the heat of the portfolio has against a question, and whether waiting changes nothing."""
    portfolio = (ledger.portfolios or {})[question.portfolio]
    heat, why = _heat_of(ledger, portfolio, question.session, now)
    if heat is None:
        return f"session {question.session} {why}", False
    stands = standing(ledger, portfolio, now)
    if stands.heat is None:
        return f"the heat of portfolio {question.portfolio} is unknown: {stands.unknown}", False
    return _too_hot(ledger, portfolio, stands, question), True


def _never(ledger: Ledger, question: HeatQuestion) -> str:
    """Return why a question can only be refused, however long it waits; empty when that is not so."""
    if question.portfolio:
        portfolio = (ledger.portfolios or {}).get(question.portfolio)
        if portfolio is None or question.session not in portfolio.sessions:
            return f"session {question.session} is not in portfolio {question.portfolio}"
        spec = portfolio.spec
        if question.currency != spec.currency:
            return f"portfolio {spec.name} counts in {spec.currency}, not {question.currency}"
    if not question.heat.is_finite() or question.heat < 0:
        return f"a heat of {question.heat} is none"
    found = ledger.reports.get(question.session)
    if found is None or question.fence > found[0].fence:
        return ""
    report = found[0]
    is_over = question.number <= report.asked and question.number not in report.unanswered
    return "the trader has given the question up" if is_over or question.fence < report.fence else ""


def _too_hot(ledger: Ledger, portfolio: KnownPortfolio, stands: PortfolioHeat, question: HeatQuestion) -> str:
    """Return which threshold the heat would pass, and note the block; empty when it would pass none."""
    group = portfolio.sessions[question.session].group
    for name, heat, block_at in (
        ("", stands.heat, stands.block_at),
        (group, stands.groups[group].heat, stands.groups[group].block_at),
    ):
        if heat is not None and block_at is not None and heat + question.heat > block_at:
            what = f"group {name} of portfolio" if name else "portfolio"
            money = f"{block_at:.2f} {stands.currency}"
            reason = (
                f"{what} {stands.name}: heat {heat:.2f} and {question.heat:.2f} more are above its block at {money}"
            )
            if question.heat <= block_at:
                # what would not fit into an empty portfolio either says nothing of how this one stands
                block = ledger.blocks.setdefault(stands.name, HeatBlock(reason, name, question.heat))
                block.needed = min(block.needed, question.heat)
            return reason
    return ""


# --- what people hear


def _changes(ledger: Ledger, now: Nanos) -> list[LedgerEffect]:
    """Tell of each portfolio whose warning or block began or ended."""
    found: list[LedgerEffect] = []
    portfolios = ledger.portfolios or {}
    for name, portfolio in portfolios.items():
        stands = standing(ledger, portfolio, now)
        found += _told(ledger, name, UNKNOWN, _long_unknown(ledger, portfolio, stands, now))
        if stands.heat is None:
            # what stood of block and warning goes on standing, also what a life before us told
            continue
        _review_block(ledger, stands)
        block = ledger.blocks.get(name)
        warning = f"heat {stands.heat:.2f} of {stands.equity:.2f} {stands.currency}" if stands.is_warned else ""
        found += _told(ledger, name, BLOCKED, "" if block is None else block.reason)
        found += _told(ledger, name, WARNED, warning)
    for name, what in [
        place for place in ledger.told if place[0] not in portfolios and ledger.portfolios is not None
    ]:
        ledger.blocks.pop(name, None)
        ledger.unknown_since.pop(name, None)
        found += _told(ledger, name, what, "")
    return found


def _long_unknown(ledger: Ledger, portfolio: KnownPortfolio, stands: PortfolioHeat, now: Nanos) -> str:
    """Return what people are told of a heat that is unknown for long, empty when it is known or was until now.

    Where no session may have heat, as in a night in which all are stopped, nobody waits for anything. An alarm of
    the life before us stands until the heat is known.
    """
    if stands.heat is not None or not any(each.may_have_heat for each in portfolio.sessions.values()):
        ledger.unknown_since.pop(stands.name, None)
        return ""
    since = ledger.unknown_since.setdefault(stands.name, now)
    if now - since < UNKNOWN_AFTER:
        return ledger.told.get((stands.name, UNKNOWN), "")
    return (
        f"the heat of portfolio {stands.name} is unknown for {UNKNOWN_AFTER // SECOND} s, so entries of its sessions "
        f"are refused: {stands.unknown}"
    )


def _review_block(ledger: Ledger, stands: PortfolioHeat) -> None:
    """Begin a block when the heat itself is above a threshold; end one when what was refused fits, or all is flat."""
    parts = [("", stands.heat, stands.block_at), *((n, g.heat, g.block_at) for n, g in stands.groups.items())]
    limits = {name: (heat, at) for name, heat, at in parts if heat is not None and at is not None}
    over = [name for name, (heat, at) in limits.items() if heat > at]
    block = ledger.blocks.get(stands.name)
    if over:
        heat, at = limits[over[0]]
        what = f"group {over[0]} of portfolio" if over[0] else "portfolio"
        reason = f"{what} {stands.name}: heat {heat:.2f} is above its block at {at:.2f} {stands.currency}"
        if block is None:
            ledger.blocks[stands.name] = HeatBlock(reason, over[0], _NOTHING)
    elif block is not None and all(
        heat + min(block.needed, at) <= at for name, (heat, at) in limits.items() if name in ("", block.group)
    ):
        del ledger.blocks[stands.name]


def _told(ledger: Ledger, portfolio: str, what: str, detail: str) -> list[LedgerEffect]:
    """Tell when something began or ended, and not again when only its words differ."""
    if bool(detail) == ((portfolio, what) in ledger.told):
        return []
    if detail:
        ledger.told[portfolio, what] = detail
    else:
        del ledger.told[portfolio, what]
    return [StandingChanged(portfolio, what, detail)]
