"""The files of an authority and of the roles, made, kept and replaced."""

import itertools
import os
import shutil
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from tests.fakes.certificates import UNKNOWN_CERTIFICATE, UNKNOWN_KEY
from twisted_bazaar.errors import Unusable
from twisted_bazaar.security import folder as folder_module
from twisted_bazaar.security.authority import identity_of, is_issued_by, seconds_left
from twisted_bazaar.security.folder import RENEW_SECONDS, CertificateFolder, Issuing
from twisted_bazaar.security.roles import Identity, Kind, Role

NOW = 1_800_000_000.0
DAY = 86_400.0
FRONTEND, CATALOG = Role(Kind.FRONTEND), Role(Kind.CATALOG)
ROLES = [FRONTEND, CATALOG, Role.order(1)]
_numbers = itertools.count(1)


def issuing(now: float | None = None, days: float = 397) -> Issuing:
    return Issuing(NOW if now is None else now, lambda: next(_numbers), days)


def made(path: Path, bazaar: str = "3f9c12ab") -> CertificateFolder:
    folder = CertificateFolder(path)
    folder.create(bazaar, issuing())
    folder.issue(ROLES, issuing())
    return folder


def shakes_hands(
    server: tuple[CertificateFolder, Role], client: tuple[CertificateFolder, Role]
) -> x509.Certificate | None:
    """What the server is shown of the client, by TLS 1.3 in memory; None: one refused."""
    ends = []
    ways = (ssl.MemoryBIO(), ssl.MemoryBIO())
    for is_server, (folder, role) in ((True, server), (False, client)):
        protocol = ssl.PROTOCOL_TLS_SERVER if is_server else ssl.PROTOCOL_TLS_CLIENT
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(folder.certificate(role), folder.key(role))
        context.load_verify_locations(folder.authority_file)
        context.verify_mode = ssl.CERT_REQUIRED
        name = None if is_server else server[1].host_name
        came, goes = ways if is_server else reversed(ways)
        ends.append(context.wrap_bio(came, goes, is_server, name))
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return None
    shown = ends[0].getpeercert(binary_form=True)
    return None if shown is None else x509.load_der_x509_certificate(shown)


@pytest.fixture
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS looks at the real clock."""
    monkeypatch.setattr(f"{__name__}.NOW", time.time())


@pytest.mark.usefixtures("_today")
def test_two_roles_of_one_bazaar_shake_hands_and_are_known_by_their_roles(tmp_path: Path) -> None:
    folder = made(tmp_path / "ours")
    shown = shakes_hands((folder, Role.order(1)), (folder, FRONTEND))
    assert shown is not None
    assert identity_of(shown) == Identity("3f9c12ab", FRONTEND)


@pytest.mark.usefixtures("_today")
def test_a_certificate_of_another_bazaar_is_refused_by_both_ends(tmp_path: Path) -> None:
    ours, theirs = made(tmp_path / "ours"), made(tmp_path / "theirs")
    assert shakes_hands((ours, CATALOG), (theirs, FRONTEND)) is None
    assert shakes_hands((theirs, CATALOG), (ours, FRONTEND)) is None


@pytest.mark.usefixtures("_today")
def test_in_each_step_of_a_rotation_old_files_and_new_files_shake_hands(tmp_path: Path) -> None:
    # A service has read the files before or after each step; neighbouring states must agree.
    folder = made(tmp_path / "ours")
    steps = [
        lambda: folder.trust_next(issuing()),
        lambda: folder.issue_by_next(issuing()),
        folder.distrust_former,
    ]
    first = folder.read(FRONTEND)
    for number, step in enumerate(steps):
        before = CertificateFolder(tmp_path / f"before-{number}")
        shutil.copytree(folder.path, before.path)
        step()
        assert shakes_hands((before, CATALOG), (folder, FRONTEND)) is not None, number
        assert shakes_hands((folder, CATALOG), (before, FRONTEND)) is not None, number
    (authority,) = folder.authorities()
    assert not is_issued_by(first, authority)
    assert is_issued_by(folder.read(FRONTEND), authority)


def test_steps_out_of_order_are_refused_and_change_nothing(tmp_path: Path) -> None:
    folder = made(tmp_path)

    def refused(step: Callable[[], object], why: str) -> None:
        files = {path: path.read_bytes() for path in tmp_path.iterdir()}
        with pytest.raises(Unusable, match=why):
            step()
        assert files == {path: path.read_bytes() for path in tmp_path.iterdir()}

    refused(lambda: folder.issue_by_next(issuing()), "no next one")
    refused(folder.distrust_former, "no former one")
    folder.trust_next(issuing())
    refused(lambda: folder.trust_next(issuing()), "being replaced")
    refused(folder.distrust_former, "the roles come first")
    former = {path: path.read_bytes() for path in tmp_path.glob("catalog.*")}
    folder.issue_by_next(issuing())
    for path, content in former.items():
        path.write_bytes(content)
    refused(folder.distrust_former, "by the former")
    # A step that a crash has interrupted is repeated.
    folder.issue_by_next(issuing())
    folder.distrust_former()


def test_keep_makes_what_is_missing_and_issues_again_what_expires_soon(tmp_path: Path) -> None:
    folder = CertificateFolder(tmp_path / "certificates")
    assert folder.keep(lambda: "3f9c12ab", ROLES, issuing()) == ROLES
    authority = folder.authority_file.read_bytes()
    assert folder.keep(lambda: "00000000", ROLES, issuing()) == []
    folder.key(CATALOG).write_bytes(folder.key(FRONTEND).read_bytes())
    assert folder.keep(lambda: "00000000", ROLES, issuing()) == [CATALOG]
    late = issuing(NOW + 397 * DAY - RENEW_SECONDS + 1)
    assert folder.keep(lambda: "00000000", ROLES, late) == ROLES
    assert seconds_left(folder.read(FRONTEND), late.now) == pytest.approx(397 * DAY, abs=1)
    assert folder.authority_file.read_bytes() == authority


def test_what_was_issued_while_a_clock_was_ahead_is_issued_again(tmp_path: Path) -> None:
    folder = made(tmp_path)
    folder.issue([CATALOG], issuing(NOW + DAY))
    assert folder.keep(lambda: "", ROLES, issuing()) == [CATALOG]


def test_keep_leaves_a_folder_alone_whose_certificates_are_issued_elsewhere(
    tmp_path: Path,
) -> None:
    made(tmp_path / "there").issue([FRONTEND], issuing(), to=tmp_path / "here")
    here = CertificateFolder(tmp_path / "here")
    assert {path.name for path in here.path.iterdir()} == {"ca.crt", "frontend.crt", "frontend.key"}
    assert here.keep(lambda: "00000000", ROLES, issuing()) == []
    assert here.roles() == [FRONTEND]
    assert here.read(FRONTEND)


def test_folders_of_single_roles_are_kept_as_the_authority_is_replaced(tmp_path: Path) -> None:
    folder = CertificateFolder(tmp_path / "authority")

    def keep() -> list[Role]:
        return folder.keep(lambda: "3f9c12ab", ROLES, issuing(), lambda role: tmp_path / str(role))

    def trusted() -> set[bytes]:
        return {(tmp_path / str(role) / "ca.crt").read_bytes() for role in ROLES}

    assert keep() == ROLES
    assert not (tmp_path / "catalog" / "ca.key").exists()
    assert keep() == []
    for step, issued in (
        (lambda: folder.trust_next(issuing()), []),
        (lambda: folder.issue_by_next(issuing()), ROLES),
        (folder.distrust_former, []),
    ):
        step()
        assert keep() == issued
        assert trusted() == {folder.authority_file.read_bytes()}
    assert CertificateFolder(tmp_path / "catalog").read(CATALOG)


def test_no_certificate_outlives_its_authority(tmp_path: Path) -> None:
    folder = made(tmp_path)
    folder.issue([CATALOG], issuing(days=100_000))
    (authority,) = folder.authorities()
    assert seconds_left(folder.read(CATALOG), NOW) <= seconds_left(authority, NOW)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda f: f.certificate(CATALOG).unlink(), "catalog.crt cannot be read"),
        (lambda f: f.key(CATALOG).write_bytes(b"no key"), "catalog.key: it holds no private key"),
        (
            lambda f: f.certificate(CATALOG).write_bytes(f.certificate(FRONTEND).read_bytes()),
            "catalog.crt is not for catalog",
        ),
        (
            lambda f: f.authority_file.write_bytes(
                made(f.path / "other").authority_file.read_bytes()
            ),
            "is not by an authority of",
        ),
        (lambda f: f.authority_file.write_bytes(b""), "ca.crt: it holds no certificate"),
        (lambda f: f.key(CATALOG).write_bytes(UNKNOWN_KEY), "catalog.key: it holds no private key"),
        (
            lambda f: (f.key(CATALOG).unlink(), os.mkfifo(f.key(CATALOG))),
            "catalog.key is no regular file",
        ),
        (
            lambda f: f.certificate(CATALOG).write_bytes(UNKNOWN_CERTIFICATE),
            "catalog.crt: it holds a certificate that cannot be read",
        ),
    ],
)
def test_files_that_do_not_fit_are_named_in_one_line(
    tmp_path: Path, spoil: Callable[[CertificateFolder], object], why: str
) -> None:
    folder = made(tmp_path)
    spoil(folder)
    with pytest.raises(Unusable, match=why) as caught:
        folder.read(CATALOG)
    assert "\n" not in str(caught.value)


class Killed(Exception):
    pass


def kill_at(monkeypatch: pytest.MonkeyPatch, operation: int) -> None:
    """The process ends before that operation on files, from 0."""
    operations = itertools.count()

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def operate(*arguments: object) -> object:
            if next(operations) >= operation:
                raise Killed
            return call(*arguments)

        return operate

    monkeypatch.setattr(folder_module, "replace_file", counted(folder_module.replace_file))
    monkeypatch.setattr(Path, "replace", counted(Path.replace))


def repeat_until_whole(step: Callable[[], object]) -> None:
    """Kill `step` before its first operation on files and begin it again; then at its second, and
    so on, until it ends."""
    for operation in itertools.count():
        with pytest.MonkeyPatch.context() as patched:
            kill_at(patched, operation)
            try:
                step()
            except Killed:
                continue
            return


def test_what_is_killed_at_any_file_is_done_by_the_same_command_given_again(
    tmp_path: Path,
) -> None:
    folder = CertificateFolder(tmp_path / "certificates")
    repeat_until_whole(lambda: folder.keep(lambda: "3f9c12ab", ROLES, issuing()))
    (first,) = folder.authorities()
    repeat_until_whole(lambda: folder.trust_next(issuing()))
    repeat_until_whole(lambda: folder.issue_by_next(issuing()))
    repeat_until_whole(folder.distrust_former)
    (second,) = folder.authorities()
    assert second != first
    assert all(is_issued_by(folder.read(role), second) for role in ROLES)
    assert not folder.next_key.exists()


@pytest.mark.parametrize("operation", range(3))
def test_an_authority_that_was_half_made_issues(tmp_path: Path, operation: int) -> None:
    folder = CertificateFolder(tmp_path / "certificates")
    with pytest.MonkeyPatch.context() as patched:
        kill_at(patched, operation)
        with pytest.raises(Killed):
            folder.create("3f9c12ab", issuing())
    assert folder.keep(lambda: "3f9c12ab", ROLES, issuing()) == ROLES
    assert folder.read(CATALOG)


@pytest.mark.parametrize("keeps", ["key", "roles"])
def test_an_authority_whose_certificate_is_lost_is_not_made_anew(
    tmp_path: Path, keeps: str
) -> None:
    """Its key, and what it has issued, would be worth nothing."""
    folder = made(tmp_path)
    copy = folder.authority_file.read_bytes()
    for path in tmp_path.iterdir():
        if path == folder.authority_file or (path == folder.authority_key) != (keeps == "key"):
            path.unlink()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for make in (
        lambda: folder.create("00000000", issuing()),
        lambda: folder.keep(lambda: "00000000", ROLES, issuing()),
    ):
        with pytest.raises(Unusable, match="has lost its ca.crt: copy that of any process"):
            make()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    folder.authority_file.write_bytes(copy)
    assert folder.keep(lambda: "00000000", ROLES, issuing()) == (ROLES if keeps == "key" else [])


def test_two_processes_do_not_change_an_authority_at_once(tmp_path: Path) -> None:
    folder, other = made(tmp_path), CertificateFolder(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with other.locked():
        for change in (
            lambda: folder.create("00000000", issuing()),
            lambda: folder.issue(ROLES, issuing()),
            lambda: folder.keep(lambda: "00000000", ROLES, issuing()),
            lambda: folder.trust_next(issuing()),
            lambda: folder.issue_by_next(issuing()),
            lambda: folder.distrust_former(),
        ):
            with pytest.raises(Unusable, match="is being changed by another process"):
                change()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    folder.issue(ROLES, issuing())


def test_what_is_issued_does_not_replace_what_is_another_bazaars(tmp_path: Path) -> None:
    ours, theirs = made(tmp_path / "ours"), made(tmp_path / "theirs", "00000000")
    before = {path: path.read_bytes() for path in theirs.path.iterdir()}
    why = "theirs has certificates of bazaar 00000000, not of 3f9c12ab"
    with pytest.raises(Unusable, match=why):
        ours.issue([FRONTEND], issuing(), to=theirs.path)
    with pytest.raises(Unusable, match=why):
        ours.keep(lambda: "", [FRONTEND], issuing(), lambda role: theirs.path)
    assert {path: path.read_bytes() for path in theirs.path.iterdir()} == before


@pytest.mark.parametrize("name", ["x" * 300, "file/folder"])
def test_a_folder_that_cannot_be_is_named_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    folder = CertificateFolder(tmp_path / name)
    with pytest.raises(Unusable, match="cannot be made: ") as caught:
        folder.keep(lambda: "3f9c12ab", ROLES, issuing())
    assert "\n" not in str(caught.value)


def test_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    folder = made(tmp_path / "certificates")
    modes = {path.name: path.stat().st_mode & 0o077 for path in folder.path.iterdir()}
    assert len(modes) == 8
    assert set(modes.values()) == {0}
