"""twistd knows the four services: from a checkout, and from a wheel."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins

from tests import ROOT

SERVICES = {"bazaar", "bazaar-catalog", "bazaar-frontend", "bazaar-order"}
TWISTD = "from twisted.scripts.twistd import run; run()"


def run(*command: str | Path, cwd: Path) -> str:
    ran = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_an_editable_install_shows_the_services() -> None:
    makers = {each.tapname: each for each in getPlugins(IServiceMaker)}
    assert makers.keys() >= SERVICES


def test_listing_the_services_does_not_load_them(tmp_path: Path) -> None:
    code = (
        "import sys; from twisted.plugins.bazaar import bazaar; "
        "print([name for name in sys.modules if name.startswith('twisted_bazaar')])"
    )
    assert run(sys.executable, "-Pc", code, cwd=tmp_path).strip() == "[]"


@pytest.fixture(scope="module")
def python_with_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment into which a freshly built wheel was installed.

    What the wheel depends on is borrowed from the environment that runs the tests, by a path
    at the end of the new one's. A path found there is not asked for further paths, so the
    checkout, which is on the borrowed one's only in that way, stays out of sight.
    """
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT,
        cwd=folder,
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv")
    python = folder / "venv" / "bin" / "python"
    run(
        sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index",
        "--no-deps", "--disable-pip-version-check", wheel, cwd=folder,
    )  # fmt: skip
    packages = run(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder
    )
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(packages.strip(), "zz-borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n")
    return python


def test_the_package_comes_from_the_wheel(python_with_wheel: Path, tmp_path: Path) -> None:
    code = (
        "import twisted_bazaar, twisted.plugins.bazaar as plugins; "
        "print(twisted_bazaar.__file__, plugins.__file__, sep='\\n')"
    )
    files = run(python_with_wheel, "-Pc", code, cwd=tmp_path).split()
    assert [Path(file).is_relative_to(python_with_wheel.parents[1]) for file in files] == [
        True,
        True,
    ]


def test_twistd_help_lists_the_services_of_the_wheel(
    python_with_wheel: Path, tmp_path: Path
) -> None:
    out = run(python_with_wheel, "-Pc", TWISTD, "--help", cwd=tmp_path)
    listed = {line.split()[0] for line in out.splitlines() if line.startswith("    bazaar")}
    assert listed == SERVICES


def test_a_service_of_the_wheel_explains_its_options(
    python_with_wheel: Path, tmp_path: Path
) -> None:
    out = run(python_with_wheel, "-Pc", TWISTD, "bazaar", "--help", cwd=tmp_path)
    for option in ("--listen=", "--data=", "--cache=", "--replicas=", "--listing="):
        assert option in out


def test_the_wheel_has_every_file_of_the_live_page(python_with_wheel: Path, tmp_path: Path) -> None:
    code = (
        "import twisted_bazaar; from pathlib import Path; "
        "page = Path(twisted_bazaar.__file__).parent / 'frontend' / 'page'; "
        "print(*sorted(str(each.relative_to(page)) for each in page.rglob('*.*')))"
    )
    page = ROOT / "twisted_bazaar" / "frontend" / "page"
    files = {str(each.relative_to(page)) for each in page.rglob("*.*")}
    installed = run(python_with_wheel, "-Pc", code, cwd=tmp_path).split()
    assert {each for each in installed if "__pycache__" not in each} == {
        each for each in files if "__pycache__" not in each
    }
