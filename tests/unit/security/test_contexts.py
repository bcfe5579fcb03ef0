"""Certificates of a process, which are read again when their files change."""

import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from tests.fakes.certificates import FRONTEND, UNKNOWN_KEY, issuing, make_folder
from twisted_bazaar.errors import Unusable
from twisted_bazaar.security.contexts import CHECK_SECONDS, Certificates
from twisted_bazaar.security.folder import CertificateFolder
from twisted_bazaar.security.roles import Role

DAY = 86_400.0


class Service:
    def __init__(self, path: Path) -> None:
        self.clock: Any = Clock()
        self.now = issuing().now
        self.changes = 0
        self.certificates = Certificates(self.clock, path, FRONTEND, lambda: self.now)
        self.certificates.on_change(self._changed)
        self.certificates.startService()

    def _changed(self) -> None:
        self.changes += 1

    def after_a_check(self) -> bytes:
        """The certificate in use then."""
        self.clock.advance(CHECK_SECONDS)
        return self.certificates.pem.certificate


@pytest.fixture
def folder(tmp_path: Path) -> CertificateFolder:
    return make_folder(tmp_path / "certificates", [FRONTEND])


def test_what_is_issued_again_is_in_use_a_second_later(folder: CertificateFolder) -> None:
    service = Service(folder.path)
    first = service.after_a_check()
    assert service.changes == 0
    folder.issue([FRONTEND], issuing())
    second = service.after_a_check()
    assert second == folder.certificate(FRONTEND).read_bytes() != first
    assert service.changes == 1


@pytest.mark.parametrize("spoiled", ["certificate", "key", "ca"])
def test_files_that_cannot_be_used_change_nothing_until_they_can(
    folder: CertificateFolder, tmp_path: Path, spoiled: str
) -> None:
    service = Service(folder.path)
    first = service.after_a_check()
    files = {
        "certificate": folder.certificate(FRONTEND),
        "key": folder.key(FRONTEND),
        "ca": folder.authority_file,
    }
    good = files[spoiled].read_bytes()
    other = make_folder(tmp_path / "other", [FRONTEND])
    shutil.copy(other.path / files[spoiled].name, files[spoiled])
    assert service.after_a_check() == first
    files[spoiled].unlink()
    assert service.after_a_check() == first
    assert service.changes == 0
    files[spoiled].write_bytes(good)
    folder.issue([FRONTEND], issuing())
    assert service.after_a_check() != first
    assert service.changes == 1


def test_files_that_cannot_be_read_for_a_while_are_in_use_once_they_can(
    folder: CertificateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: CertificateFolder, role: Role) -> None:
        raise Unusable("Too many open files")

    service = Service(folder.path)
    first = service.after_a_check()
    folder.issue([FRONTEND], issuing())
    with monkeypatch.context() as patched, capturedLogs() as events:
        patched.setattr(CertificateFolder, "read", fail)
        assert service.after_a_check() == service.after_a_check() == first
    assert len(events) == 1
    assert service.after_a_check() != first


def test_a_key_of_an_unknown_kind_is_not_the_last_that_is_looked_at(
    folder: CertificateFolder,
) -> None:
    service = Service(folder.path)
    first = service.after_a_check()
    folder.key(FRONTEND).write_bytes(UNKNOWN_KEY)
    assert service.after_a_check() == first
    folder.issue([FRONTEND], issuing())
    assert service.after_a_check() != first


@pytest.mark.parametrize(("days", "ago"), [(2, 3), (30, -2)])
def test_one_that_is_not_valid_now_does_not_take_the_place_of_one_that_is(
    folder: CertificateFolder, days: float, ago: float
) -> None:
    service = Service(folder.path)
    first = service.after_a_check()
    folder.issue([FRONTEND], issuing(days, ago))
    with capturedLogs() as events:
        assert service.after_a_check() == service.after_a_check() == first
    (line,) = map(formatEvent, events)
    assert line == (
        f"new certificates are not used: {folder.certificate(FRONTEND)} is not valid at this time"
    )
    service.now += 400 * DAY
    assert service.after_a_check() != first, "neither is valid"


def test_a_whole_folder_of_another_bazaar_is_not_used(
    folder: CertificateFolder, tmp_path: Path
) -> None:
    service = Service(folder.path)
    first = service.after_a_check()
    for path in make_folder(tmp_path / "other", [FRONTEND]).path.iterdir():
        shutil.copy(path, folder.path)
    with capturedLogs() as events:
        assert service.after_a_check() == first
    assert "is of bazaar" in str(formatEvent(events[0]))


@pytest.mark.parametrize("missing", ["ca.crt", "frontend.crt", "frontend.key"])
def test_a_service_without_its_files_does_not_start(
    folder: CertificateFolder, missing: str
) -> None:
    (folder.path / missing).unlink()
    with pytest.raises(Unusable, match=missing) as refused:
        Service(folder.path)
    assert "\n" not in str(refused.value)


def test_it_tells_for_how_long_its_certificates_are_valid(folder: CertificateFolder) -> None:
    folder.issue([FRONTEND], issuing(days=20))
    service = Service(folder.path)
    service.now += 7 * DAY
    left = service.certificates.seconds_left()
    assert left["frontend"] == pytest.approx(13 * DAY, abs=60)
    assert left["ca"] == pytest.approx(3646 * DAY, abs=60)


@pytest.mark.parametrize(
    ("days", "ago", "line"),
    [
        (2, 3, "{}: the certificate of frontend has expired: the other services refuse it"),
        (
            *(30, -2),
            "{}: the certificate of frontend is not valid for another 2.0 days: is the clock "
            "right?",
        ),
        (3, 0, "{}: the certificate of frontend expires in 3.0 days"),
    ],
)
def test_a_certificate_that_others_refuse_is_said_at_the_start(
    folder: CertificateFolder, days: float, ago: float, line: str
) -> None:
    folder.issue([FRONTEND], issuing(days, ago))
    with capturedLogs() as events:
        Service(folder.path)
    assert [formatEvent(event) for event in events] == [line.format(folder.path)]


def test_a_key_that_others_may_read_is_said_at_the_start(folder: CertificateFolder) -> None:
    folder.key(FRONTEND).chmod(0o644)
    with capturedLogs() as events:
        Service(folder.path)
    line = f"{folder.key(FRONTEND)}: open to other users (mode 644)"
    assert [formatEvent(event) for event in events] == [line]


def test_only_tls_1_3_is_spoken_and_no_session_is_resumed(folder: CertificateFolder) -> None:
    loaded: Any = Service(folder.path).certificates._loaded
    for context in (loaded.server, loaded.client):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_3
        assert context.verify_mode == ssl.CERT_REQUIRED
    assert loaded.server.num_tickets == 0
