"""`python -m twisted_bazaar certificates`: makes, issues, replaces and shows certificates."""

from argparse import Namespace
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TextIO

from cryptography import x509

from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.exit_codes import IMPAIRED, SUCCESS
from twisted_bazaar.security.authority import (
    SOON_SECONDS,
    bazaar_of,
    generation_of,
    is_issued_by,
    new_name,
    seconds_left,
    seconds_until_valid,
)
from twisted_bazaar.security.folder import CertificateFolder, Issuing
from twisted_bazaar.security.roles import Role

__all__ = ["run"]

_DAY = 86_400
_THEN = "copy ca.crt to every machine; once all services have read it, 2 s later:"


def run(asked: Namespace, out: TextIO, now: float, random_bytes: Callable[[int], bytes]) -> int:
    """Run one operation and return the exit status. Raises `Unusable`. `now` is in seconds since
    1970."""
    folder = CertificateFolder(asked.folder)
    if asked.operation == "show":
        return _show(folder, out, now)
    issuing = Issuing(now, x509.random_serial_number, getattr(asked, "days", 1.0))
    if asked.operation == "init":
        made = folder.create(new_name(random_bytes), issuing)
        print(f"ok: the authority of bazaar {made.bazaar} is in {folder.path}", file=out)
    elif asked.operation == "issue":
        folder.issue(asked.roles, issuing, asked.to)
        print(f"ok: {_listed(asked.roles)} in {asked.to or folder.path}", file=out)
    elif asked.operation == "keep":
        each = asked.to_each
        issued = folder.keep(
            lambda: new_name(random_bytes),
            asked.roles,
            issuing,
            None if each is None else lambda role: each / str(role),
        )
        print(f"ok: issued {_listed(issued)}" if issued else "ok: nothing was needed", file=out)
    else:
        _rotate(folder, asked.step, issuing, out)
    return SUCCESS


def _rotate(folder: CertificateFolder, step: str, issuing: Issuing, out: TextIO) -> None:
    """One step. Between two steps every service reads the files again, so that each trusts what
    the next step uses."""
    following = f"python -m twisted_bazaar certificates rotate {folder.path}"
    if step == "begin":
        made = folder.trust_next(issuing)
        print(f"ok: authority {made.generation} is trusted, too\n{_THEN}", file=out)
        print(f"  {following} issue", file=out)
    elif step == "issue":
        roles = folder.issue_by_next(issuing)
        number = folder.authority().generation
        print(f"ok: authority {number} issues, and has issued {_listed(roles)}", file=out)
        print("issue again what other machines hold; once all services have read it:", file=out)
        print(f"  {following} end", file=out)
    else:
        folder.distrust_former()
        number = folder.authority().generation
        print(f"ok: only authority {number} is trusted\ncopy ca.crt to every machine", file=out)


def _show(folder: CertificateFolder, out: TextIO, now: float) -> int:
    """Print a line for each authority and each role."""
    authorities = folder.authorities()
    is_sound = True
    issuer = folder.authority().certificate if folder.issues() else None
    for each in authorities:
        what = f"authority {generation_of(each)} of bazaar {bazaar_of(each)}"
        what += ", which issues" if each == issuer else ""
        is_sound &= _print(out, what, each, now)
    for role in folder.roles():
        try:
            certificate = folder.read(role)
        except Unusable as why:
            print(f"{role}: {why}", file=out)
            is_sound = False
            continue
        by = next(each for each in authorities if is_issued_by(certificate, each))
        is_sound &= _print(out, f"{role} by authority {generation_of(by)}", certificate, now)
    return SUCCESS if is_sound else IMPAIRED


def _print(out: TextIO, what: str, certificate: x509.Certificate, now: float) -> bool:
    """Whether it is valid for long enough."""
    left = seconds_left(certificate, now)
    end = datetime.fromtimestamp(now + left, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    early = seconds_until_valid(certificate, now)
    if early > 0:
        state = f"not valid for another {early / _DAY:.1f} days"
    else:
        state = "has expired" if left <= 0 else f"{left / _DAY:.0f} days left"
    print(f"{what}: until {end}, {state}", file=out)
    return early <= 0 and left >= SOON_SECONDS


def _listed(roles: Iterable[Role]) -> str:
    return ", ".join(map(str, roles)) or "no roles"
