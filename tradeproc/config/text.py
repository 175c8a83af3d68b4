"""Reading texts that a person wrote: UTF-8, with or without the byte order mark that some editors put first."""

import codecs
import tomllib
from pathlib import Path

from tradeproc.config.problems import BadConfig

# what an editor that saves as "Unicode" puts first; UTF-32's begins with UTF-16's
_OTHER = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_toml(file: Path) -> dict[str, object]:
    """Return a TOML file as plain values.

    Raises:
        BadConfig: it cannot be read, as one line.
    """
    try:
        return tomllib.loads(read_text(file))
    except OSError as error:
        raise BadConfig(file, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadConfig(file, f"is not UTF-8 text (byte {error.start})") from None
    except UnicodeError as error:
        raise BadConfig(file, str(error)) from None
    except ValueError as error:
        # TOML's own errors, and numbers of thousands of digits
        raise BadConfig(file, f"is no TOML: {error}") from None
    except RecursionError:
        raise BadConfig(file, "is no TOML that can be read: it is nested too deep") from None


def read_text(file: Path) -> str:
    """Return a file's text without a byte order mark.

    Raises:
        OSError: it cannot be read.
        UnicodeError: it is no UTF-8; the message says so where it is UTF-16.
    """
    raw = file.read_bytes()
    if raw.startswith(_OTHER):
        raise UnicodeError("is UTF-16 text; save it as UTF-8")
    return raw.decode("utf-8-sig")
