"""The committed gRPC stubs are those of the .proto files."""

import subprocess
import sys
from pathlib import Path

from tests import ROOT

COMMITTED = ROOT / "twisted_bazaar" / "rpc"


def sources(folder: Path) -> dict[str, str]:
    """The generated files below `folder`, by their place in it."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted((folder / "bazaar").rglob("*.py*"))
        if path.suffix in (".py", ".pyi")
    }


def test_the_committed_stubs_are_what_would_be_generated_now(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(ROOT / "proto" / "generate.py"), str(tmp_path)], check=True)
    generated = sources(tmp_path)
    assert sources(COMMITTED) == generated, "run `make proto` and commit what changes"
    services = [path.stem for path in sorted((ROOT / "proto").rglob("*.proto"))]
    assert services
    for name in services:
        assert {f"bazaar/v1/{name}_pb2.py", f"bazaar/v1/{name}_pb2.pyi"} <= generated.keys()
