"""The certificates of a bazaar as files.

    ca.crt         the authority's certificate; while it is replaced, also that of the next
    ca.key         its key, only where certificates are issued
    ca-next.key    the key of the next authority, while it is replaced
    <role>.crt     the certificate of a role, such as order-2
    <role>.key     its key

All are PEM, and readable by their owner only. A file is replaced whole, so that running services
can read it at any time; between the two files of a role they may find a key that is not that of
the certificate, and then keep what they have.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.file_state import file_state
from twisted_bazaar.storage.files import replace_file, sync_folder

from .authority import (
    ROLE_DAYS,
    Authority,
    Issued,
    bazaar_of,
    belongs,
    identity_of,
    is_issued_by,
    read_certificates,
    read_key,
    seconds_left,
    seconds_until_valid,
)
from .roles import Role

__all__ = ["RENEW_SECONDS", "CertificateFolder", "Issuing"]

_Read = TypeVar("_Read")
_Made = TypeVar("_Made")
_P = ParamSpec("_P")

RENEW_SECONDS = 30 * 86_400.0
"""A certificate with less left is issued again by `keep`."""


@attrs.frozen
class Issuing:
    """What is needed to issue certificates, beside an authority."""

    now: float
    """Seconds since 1970."""
    serial: Callable[[], int]
    """A random serial number, for each certificate another."""
    days: float = ROLE_DAYS


def _alone(
    *, make: bool = False
) -> Callable[
    [Callable[Concatenate["CertificateFolder", _P], _Made]],
    Callable[Concatenate["CertificateFolder", _P], _Made],
]:
    """What is done while the folder is `locked`. With `make` it is made if it is missing."""

    def decorate(
        change: Callable[Concatenate["CertificateFolder", _P], _Made],
    ) -> Callable[Concatenate["CertificateFolder", _P], _Made]:
        @wraps(change)
        def alone(folder: "CertificateFolder", /, *args: _P.args, **kwargs: _P.kwargs) -> _Made:
            if make:
                folder.make()
            with folder.locked():
                return change(folder, *args, **kwargs)

        return alone

    return decorate


class CertificateFolder:
    """The certificates in the folder `path`. Everything raises `Unusable`, with one line that names
    the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.authority_file = path / "ca.crt"
        """The authorities that are trusted: what every process of the bazaar has."""
        self.authority_key = path / "ca.key"
        self.next_key = path / "ca-next.key"
        self._is_locked = False

    def certificate(self, role: Role) -> Path:
        """The file of its certificate."""
        return self.path / f"{role}.crt"

    def key(self, role: Role) -> Path:
        """The file of its key."""
        return self.path / f"{role}.key"

    # Reading.

    def authorities(self) -> tuple[x509.Certificate, ...]:
        """Those that are trusted, at least one."""
        return self._certificates(self.authority_file)

    def authority(self) -> Authority:
        """The one that issues: the trusted one that `ca.key` is the key of."""
        if not self.issues():
            raise Unusable(f"{self.path} has no ca.key: certificates are issued elsewhere")
        return self._authority_of(self.authority_key)

    def issues(self) -> bool:
        """Whether certificates are issued here. Ends what a crash has interrupted of `create`."""
        if _is_there(self.authority_key):
            return True
        if not (_is_there(self.authority_file) and _is_there(self.next_key)):
            return False
        with self.locked():
            self._authority_of(self.next_key)
            self._rename(self.next_key, self.authority_key)
        return True

    def read(self, role: Role) -> x509.Certificate:
        """The certificate of `role`, which has its key beside it, is for that role, and is issued
        by an authority of this folder. It may have expired."""
        path = self.certificate(role)
        certificate = self._certificates(path)[0]
        identity = identity_of(certificate)
        if identity is None or identity.role != role:
            raise Unusable(f"{path} is not for {role}")
        if not any(is_issued_by(certificate, each) for each in self.authorities()):
            raise Unusable(f"{path} is not by an authority of {self.authority_file}")
        key = self._read(self.key(role))
        if not belongs(certificate, _naming(self.key(role), lambda: read_key(key))):
            raise Unusable(f"{self.key(role)} is not the key of {path}")
        return certificate

    def roles(self) -> list[Role]:
        """Those that have a certificate here, in order."""
        found = []
        for path in self.path.glob("*.crt"):
            try:
                found.append(Role.parse(path.stem))
            except ValueError:
                continue
        return sorted(found)

    # Writing.

    @contextmanager
    def locked(self) -> Iterator[None]:
        """No other process issues here meanwhile: of two, one could make the key of an authority,
        and the other its certificate."""
        if self._is_locked:
            yield
            return
        try:
            held = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as why:
            raise Unusable(f"{self.path} cannot be used: {why.strerror}") from None
        try:
            self._lock(held)
            self._is_locked = True
            yield
        finally:
            self._is_locked = False
            os.close(held)

    def _lock(self, held: int) -> None:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unusable(f"{self.path} is being changed by another process") from None
        except OSError as why:
            raise Unusable(f"{self.path} cannot be locked: {why.strerror}") from None

    @_alone(make=True)
    def create(self, bazaar: str, issuing: Issuing) -> Authority:
        """Make the authority of a new bazaar. The folder must have none."""
        if _is_there(self.authority_file):
            raise Unusable(f"{self.path} has an authority")
        if _is_there(self.authority_key) or self.roles():
            # A new key would leave nothing of the authority that all processes trust.
            raise Unusable(
                f"{self.path} has lost its ca.crt: copy that of any process, or remove what is here"
            )
        made = Authority.make(bazaar, 1, issuing.now, issuing.serial())
        # `issues` goes on from here.
        self._write(self.next_key, made.issued.key)
        self._write(self.authority_file, made.issued.certificate)
        self._rename(self.next_key, self.authority_key)
        return made

    @_alone()
    def issue(self, roles: Iterable[Role], issuing: Issuing, to: Path | None = None) -> None:
        """Issue a certificate for each of `roles`, with the authority's beside it if it is for
        another folder, `to`. What is there of these roles is replaced, unless it is another
        bazaar's."""
        authority = self.authority()
        other = self if to is None else CertificateFolder(to)
        if other is not self:
            other._check_is_of(authority.bazaar)
            other.make()
            other._write(other.authority_file, self._read(self.authority_file))
        for role in roles:
            other._keep(role, authority.issue(role, issuing.now, issuing.serial(), issuing.days))

    def _check_is_of(self, bazaar: str) -> None:
        """Raises `Unusable` if there is another bazaar's authority here."""
        if not _is_there(self.authority_file):
            return
        for each in self.authorities():
            if (other := bazaar_of(each)) != bazaar:
                raise Unusable(f"{self.path} has certificates of bazaar {other}, not of {bazaar}")

    @_alone(make=True)
    def keep(
        self,
        bazaar: Callable[[], str],
        roles: Iterable[Role],
        issuing: Issuing,
        folder_of: Callable[[Role], Path] | None = None,
    ) -> list[Role]:
        """Make the authority of a bazaar with that name, unless there is one, and issue again what
        of `roles` is missing, cannot be used, is by a former authority, or has less than
        `RENEW_SECONDS` left. Returns the roles that it issued.

        With `folder_of` each role has a folder of its own, with what is trusted beside it.
        """
        if not _is_there(self.authority_file):
            self.create(bazaar(), issuing)
        if not self.issues():
            # It was copied here, and so is what expires.
            return []
        authority = self.authority()
        issued: list[Role] = []
        for role in roles:
            folder = self if folder_of is None else CertificateFolder(folder_of(role))
            folder._check_is_of(authority.bazaar)
            if folder._is_kept(role, authority.certificate, self.authorities(), issuing.now):
                continue
            self.issue([role], issuing, None if folder is self else folder.path)
            issued.append(role)
        return issued

    def _is_kept(
        self,
        role: Role,
        issuer: x509.Certificate,
        trusted: Sequence[x509.Certificate],
        now: float,
    ) -> bool:
        """Whether the certificate of `role` here stays as it is."""
        try:
            certificate = self.read(role)
            if self.authorities() != trusted:
                # The authority is being replaced.
                self._write_authorities(trusted)
        except Unusable:
            return False
        return (
            is_issued_by(certificate, issuer)
            # It was issued while a clock was ahead.
            and seconds_until_valid(certificate, now) <= 0
            and seconds_left(certificate, now) >= RENEW_SECONDS
        )

    # Replacing the authority: three steps, between which all services read the files again.

    @_alone()
    def trust_next(self, issuing: Issuing) -> Authority:
        """Make the next authority, and trust it beside the one that issues. Step 1."""
        present = self.authorities()
        if len(present) > 1:
            raise Unusable(f"{self.authority_file} has two authorities: one is being replaced")
        authority = self.authority()
        following = Authority.make(
            authority.bazaar, authority.generation + 1, issuing.now, issuing.serial()
        )
        self._write(self.next_key, following.issued.key)
        self._write_authorities((*present, following.certificate))
        return following

    @_alone()
    def issue_by_next(self, issuing: Issuing) -> list[Role]:
        """Issue every role of this folder by the next authority. Step 2; may be repeated. Returns
        the roles."""
        present = self.authorities()
        if len(present) < 2:
            raise Unusable(f"{self.authority_file} has one authority: there is no next one")
        if _is_there(self.next_key):
            self._authority_of(self.next_key)
            self._rename(self.next_key, self.authority_key)
        roles = self.roles()
        self.issue(roles, issuing)
        return roles

    @_alone()
    def distrust_former(self) -> None:
        """Trust the authority that issues, and no other. Step 3."""
        present = self.authorities()
        if len(present) < 2:
            raise Unusable(f"{self.authority_file} has one authority: there is no former one")
        if _is_there(self.next_key):
            raise Unusable(f"{self.next_key} issues nothing yet: the roles come first")
        issuer = self.authority().certificate
        for role in self.roles():
            if not is_issued_by(self.read(role), issuer):
                raise Unusable(f"{self.certificate(role)} is by the former authority")
        self._write_authorities((issuer,))

    def _authority_of(self, path: Path) -> Authority:
        """The trusted authority whose key is in the file `path`."""
        pem = self._read(path)
        key = _naming(path, lambda: read_key(pem))
        for each in self.authorities():
            if belongs(each, key):
                return Authority(each, key)
        raise Unusable(f"{path} is not the key of an authority in {self.authority_file}")

    def _write_authorities(self, certificates: Iterable[x509.Certificate]) -> None:
        self._write(
            self.authority_file, b"".join(each.public_bytes(Encoding.PEM) for each in certificates)
        )

    def _keep(self, role: Role, issued: Issued) -> None:
        self._write(self.key(role), issued.key)
        self._write(self.certificate(role), issued.certificate)

    def _certificates(self, path: Path) -> tuple[x509.Certificate, ...]:
        pem = self._read(path)
        return _naming(path, lambda: read_certificates(pem))

    def _read(self, path: Path) -> bytes:
        state = file_state(path)
        if state is not None and not state.is_regular:
            # Reading from a pipe would wait for ever.
            raise Unusable(f"{path} is no regular file")
        try:
            return path.read_bytes()
        except OSError as why:
            raise Unusable(f"{path} cannot be read: {why.strerror}") from None

    def _rename(self, path: Path, to: Path) -> None:
        try:
            path.replace(to)
            sync_folder(self.path)
        except OSError as why:
            raise Unusable(f"{path} cannot be renamed: {why.strerror}") from None

    def make(self) -> None:
        """Make the folder, unless it is there."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as why:
            raise Unusable(f"{self.path} cannot be made: {why.strerror}") from None

    def _write(self, path: Path, content: bytes) -> None:
        try:
            replace_file(path, content)
            sync_folder(self.path)
        except OSError as why:
            raise Unusable(f"{path} cannot be written: {why.strerror}") from None


def _is_there(path: Path) -> bool:
    """Whether there is such a file. Raises `Unusable` if that cannot be told."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError as why:
        raise Unusable(f"{path} cannot be looked at: {why.strerror}") from None
    return True


def _naming(path: Path, read: Callable[[], _Read]) -> _Read:
    """What `read` returns; an `Unusable` of it names the file."""
    try:
        return read()
    except Unusable as why:
        raise Unusable(f"{path}: {why}") from None
