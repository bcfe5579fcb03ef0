"""The secret of a bazaar on one machine: made once, for its owner only, whole or not at all."""

import os
from pathlib import Path

import pytest

from twisted_bazaar.errors import Unusable
from twisted_bazaar.local.secret import keep_secret
from twisted_bazaar.runtime.options import secret_file


def test_the_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    before = os.umask(0)
    try:
        keep_secret(path, lambda size: bytes(range(size)))
    finally:
        os.umask(before)
    assert path.read_text() == bytes(range(32)).hex() + "\n"
    assert path.stat().st_mode & 0o777 == 0o600
    keep_secret(path, os.urandom)
    assert secret_file(str(path)) == bytes(range(32)).hex().encode()
    assert list(tmp_path.iterdir()) == [path]


def test_a_crash_while_the_secret_is_made_leaves_none_and_the_next_start_makes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    for step in "fsync", "replace":
        with monkeypatch.context() as broken:
            broken.setattr(os, step, crash)
            with pytest.raises(KeyboardInterrupt):
                keep_secret(path, lambda size: b"1" * size)
        assert not path.exists()
    keep_secret(path, lambda size: b"2" * size)
    assert path.read_text() == "32" * 32 + "\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_secret_that_is_too_short_or_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("short\n")
    with pytest.raises(Unusable, match=r"^the secret must be a file of at least 16 bytes, not '"):
        keep_secret(path, os.urandom)
    assert path.read_text() == "short\n"
    nowhere = tmp_path / "none" / "secret"
    with pytest.raises(Unusable, match=rf"^the secret {nowhere} cannot be used: No such file"):
        keep_secret(nowhere, os.urandom)
