"""The secret of the cluster, which its catalog and its front-end share."""

from collections.abc import Callable
from pathlib import Path

from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.options import secret_file
from twisted_bazaar.storage.files import replace_file

__all__ = ["keep_secret", "secret_path"]

SECRET_BYTES = 32


def secret_path(data: Path) -> Path:
    """Where the secret of the bazaar in folder `data` is."""
    return data / "secret"


def keep_secret(path: Path, random_bytes: Callable[[int], bytes]) -> None:
    """Make the secret, unless an earlier run did. Raises `Unusable`.

    Only the user who runs the bazaar may read it. After a crash there is a whole one or none.
    """
    try:
        if not path.exists():
            replace_file(path, f"{random_bytes(SECRET_BYTES).hex()}\n".encode())
        secret_file(str(path))
    except OSError as why:
        raise Unusable(f"the secret {path} cannot be used: {why.strerror}") from None
    except ValueError as why:
        raise Unusable(f"the secret {why}") from None
