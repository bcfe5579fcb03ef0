"""The certificates that `twistd bazaar` makes."""

import random
from pathlib import Path

from twisted_bazaar.local.certificates import certificates_path, keep_certificates
from twisted_bazaar.security.folder import RENEW_SECONDS, CertificateFolder
from twisted_bazaar.security.roles import Kind, Role

NOW = 1_800_000_000.0


def test_every_role_gets_a_certificate_once_and_again_before_it_expires(tmp_path: Path) -> None:
    random_bytes = random.Random(7).randbytes
    roles = keep_certificates(tmp_path, 3, NOW, random_bytes)
    assert {str(role) for role in roles} == {
        *("frontend", "catalog", "operator", "monitor", "order-1", "order-2", "order-3"),
    }
    folder = CertificateFolder(certificates_path(tmp_path))
    assert set(folder.roles()) == set(roles)
    serials = {folder.read(role).serial_number for role in roles}
    assert len(serials) == len(roles)
    assert all(0 < serial < 2**159 for serial in serials)
    assert keep_certificates(tmp_path, 3, NOW, random_bytes) == []
    assert keep_certificates(tmp_path, 5, NOW, random_bytes) == [Role.order(4), Role.order(5)]
    later = folder.read(Role(Kind.FRONTEND)).not_valid_after_utc.timestamp() - RENEW_SECONDS
    assert keep_certificates(tmp_path, 3, later - 1, random_bytes) == []
    assert set(keep_certificates(tmp_path, 3, later + 1, random_bytes)) == set(roles)
