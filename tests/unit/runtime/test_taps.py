"""Taps hold options only: `twistd --help` imports no web framework, and no gRPC."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("room", ["frontend", "catalog"])
def test_a_tap_is_cheap_to_import(room: str) -> None:
    heavy = "'grpc', 'klein', 'treq', 'txredisapi', 'twisted.internet.reactor', 'twisted.web'"
    script = f"import sys, twisted_bazaar.{room}.tap; print(sorted({{{heavy}}} & {{*sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"
