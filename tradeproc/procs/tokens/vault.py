"""Stores what renews each login: encrypted, private to the user, replaced in one step and only when safely on disk.

The key lies in a file of its own in the same folder. That guards against a token that is copied, backed up or shown
by accident, not against somebody who reads the whole folder as this user.
"""

import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import orjson
from cryptography.fernet import Fernet, InvalidToken

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Nanos
from tradeproc.errors import Halt, Outage

KEY_FILE = "tokens.key"
_SUFFIX = ".login"


class OpenSecret(Halt):
    """A file with a secret that others may read, or that is not ours; caught by the entry point."""

    def __init__(self, path: Path, mode: int) -> None:
        super().__init__(f"{path}: must be yours with mode 0600, found {mode:04o}; chmod 600 it")


class BadKey(Halt):
    """A key file that holds no key; caught by the entry point."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: holds no key; restore it, or remove it with the *{_SUFFIX} files and log in again")


class NotSaved(Outage):
    """What renews a login could not be written; it is kept in memory and tried again, caught by `TokenSupply`."""


class LostToken(Halt):
    """A stored login that this key cannot decrypt; a person must log in again, caught by `TokenSupply`."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What is kept of a login: what renews its tokens, when somebody logged in, and with which password.

    `renewal` is empty when there is none, `renewable_until` None when its end is not known. `user` and `password` are
    empty for a login by consent. `refused` names a password that the broker did not take, without giving it away.
    """

    renewal: str
    logged_in_at: Nanos
    renewable_until: Nanos | None = None
    user: str = ""
    password: str = ""
    refused: str = ""

    def __repr__(self) -> str:
        return f"Stored(logged_in_at={self.logged_in_at}, renewable_until={self.renewable_until})"


class Vault:
    """The folder of encrypted logins, one file each."""

    def __init__(self, folder: Path) -> None:
        """Read the key, or make one.

        Raises:
            OpenSecret: others may read the key.
            BadKey: the file holds no key.
        """
        self._folder = folder
        path = folder / KEY_FILE
        if not path.exists():
            _write_private(path, Fernet.generate_key())
        _check_private(path)
        try:
            self._cipher = Fernet(path.read_bytes().strip())
        except ValueError:
            raise BadKey(path) from None

    def read(self, login: str) -> Stored | None:
        """Return what is kept of a login, None if nothing is.

        Raises:
            OpenSecret: others may read the file.
            LostToken: it cannot be decrypted with our key.
        """
        path = self._path(login)
        if not path.exists():
            return None
        _check_private(path)
        try:
            record = orjson.loads(self._cipher.decrypt(path.read_bytes()))
            return _stored(record)
        except (InvalidToken, orjson.JSONDecodeError, KeyError, TypeError):
            raise LostToken(f"{path} cannot be decrypted with {self._folder / KEY_FILE}") from None

    def save(self, login: str, stored: Stored) -> None:
        """Replace what is kept of a login; when this returns it survives the loss of power.

        Raises:
            NotSaved: it could not be written; the old one is still there.
        """
        record = asdict(stored)
        # the name that earlier versions wrote and read
        record["refresh_token"] = record.pop("renewal")
        try:
            _write_private(self._path(login), self._cipher.encrypt(orjson.dumps(record)))
        except OSError as error:
            raise NotSaved(f"{self._path(login)}: {error.strerror}") from error

    def _path(self, login: str) -> Path:
        return self._folder / f"{login}{_SUFFIX}"


def _stored(record: Mapping[str, object]) -> Stored:
    """Return what a record says; one of an earlier version has only the first two fields."""
    renewal, logged_in_at, until = record["refresh_token"], record["logged_in_at"], record.get("renewable_until")
    if not isinstance(renewal, str) or not isinstance(logged_in_at, int) or not isinstance(until, int | None):
        raise TypeError("no record of a login")
    more = {key: str(record.get(key) or "") for key in ("user", "password", "refused")}
    return Stored(renewal, Nanos(logged_in_at), None if until is None else Nanos(until), **more)


def _check_private(path: Path) -> None:
    found = path.stat()
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise OpenSecret(path, stat.S_IMODE(found.st_mode))


def _write_private(path: Path, content: bytes) -> None:
    """Write beside, flush to the disk, replace, flush the folder."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
