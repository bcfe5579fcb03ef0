"""Generate `twisted_bazaar/rpc/bazaar` from the .proto files beside this one.

    python proto/generate.py [FOLDER]

writes into FOLDER instead, which is how a test compares what is committed with what would
be generated now.
"""

import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

PROTO = Path(__file__).resolve().parent
STUBS = PROTO.parent / "twisted_bazaar" / "rpc"
PACKAGE = "twisted_bazaar.rpc."


def generate(folder: Path) -> None:
    """Write the stubs of every service below `folder`."""
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    arguments = [
        "protoc",
        f"--proto_path={PROTO}",
        f"--proto_path={files('grpc_tools') / '_proto'}",
        f"--python_out={folder}",
        f"--pyi_out={folder}",
        f"--grpc_python_out={folder}",
        *sources,
    ]
    if protoc.main(arguments):
        raise SystemExit("protoc failed")
    for stub in (folder / "bazaar").rglob("*_pb2*.py*"):
        text = stub.read_text()
        stub.write_text(text.replace("from bazaar.v1", f"from {PACKAGE}bazaar.v1"))
    for package in (folder / "bazaar", folder / "bazaar" / "v1"):
        (package / "__init__.py").write_text("")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else STUBS)
