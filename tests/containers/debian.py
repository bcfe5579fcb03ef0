"""Images to build on and to cache in where none can be pulled: plain Debian, by debootstrap."""

import shutil
import tempfile
from pathlib import Path

from .engine import CannotRun, Engine, run

__all__ = ["PYTHON", "VALKEY", "make"]

PYTHON = "bazaar-test-python"
VALKEY = "bazaar-test-valkey"

SUITE = "bookworm"
MAKE_SECONDS = 600.0
TRUSTED = Path("/etc/ssl/certs/ca-certificates.crt")
"""What this machine trusts; so does the image, to reach the same package index."""

PACKAGES = {
    PYTHON: "ca-certificates,python3,python3-pip,python3-venv",
    VALKEY: "redis-server",
}


def make(engine: Engine) -> None:
    """Make both images, unless they are there already. Needs root and debootstrap."""
    if shutil.which("debootstrap") is None:
        raise CannotRun("--base debian needs debootstrap")
    for image, packages in PACKAGES.items():
        if engine("images", "-q", image).strip():
            continue
        with tempfile.TemporaryDirectory(prefix="bazaar-base-") as folder:
            root = Path(folder)
            bootstrap = ["debootstrap", "--variant=minbase", f"--include={packages}", SUITE, folder]
            run(bootstrap, MAKE_SECONDS)
            _adapt(root)
            archive = root.with_suffix(".tar")
            try:
                run(["tar", "-C", folder, "-cf", str(archive), "."], MAKE_SECONDS)
                engine("import", str(archive), f"{image}:latest", within=MAKE_SECONDS)
            finally:
                archive.unlink(missing_ok=True)


def _adapt(root: Path) -> None:
    for cache in (root / "var/cache/apt", root / "var/lib/apt/lists"):
        shutil.rmtree(cache)
        cache.mkdir()
    if (root / "usr/bin/python3").exists() and TRUSTED.exists():
        shutil.copyfile(TRUSTED, root / str(TRUSTED).lstrip("/"))
    for name in ("server", "cli"):
        if (root / f"usr/bin/redis-{name}").exists():
            (root / f"usr/bin/valkey-{name}").symlink_to(f"redis-{name}")
