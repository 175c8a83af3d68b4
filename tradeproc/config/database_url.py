"""The address of an external database is checked when it is read. It holds a password, so no message shows any of it.

A special character in a password ends it early: the rest of the password is then taken for host, port or name, and
the database driver would show these in its errors.
"""

import re

from tradeproc.domain.records import BadValue

_HOST = re.compile(r"[A-Za-z0-9._:-]*|[/@][^@]*")
_FORM = (
    "write postgresql://user:password@host:5432/name, other characters of the password than letters and digits as %XX"
)


def check_database_url(url: str) -> None:
    """Check an address, in either of PostgreSQL's forms.

    Raises:
        BadValue: it is not an address; the message names the part and does not show it.
    """
    # only here: every process reads the configuration, and a feed without a database saves 10 MB
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        parts = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    except (psycopg.Error, UnicodeError, ValueError):
        raise _bad("cannot be read") from None
    if not all(_HOST.fullmatch(each) for key in ("host", "hostaddr") for each in parts.get(key, "").split(",")):
        raise _bad("has a host that cannot be one") from None
    if not all(not each or _is_port(each) for each in parts.get("port", "").split(",")):
        raise _bad("has a port that is no number from 1 to 65535") from None
    if re.search(r"[@/:\x00-\x1f]", parts.get("dbname", "")):
        raise _bad("has a name of a database that cannot be one") from None


def _is_port(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9]{1,5}", text)) and 0 < int(text) < 65536


def _bad(trouble: str) -> BadValue:
    return BadValue(
        "url", f"the address of the database {trouble} (it is not shown, it may hold a password); {_FORM}"
    )
