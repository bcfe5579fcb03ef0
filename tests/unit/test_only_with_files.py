import re

from tests import ROOT
from tests.integration.only_with_files import ONE_PARTITION, ONLY_WITH_FILES


def test_each_exception_is_of_one_test_or_module_that_there_is() -> None:
    modules = [*(ROOT / "tests" / "integration").glob("test_*.py")]
    names = [each.stem for each in modules]
    for each in modules:
        names += re.findall(r"def (test_\w+)\(", each.read_text())
    for name in [*ONLY_WITH_FILES, *ONE_PARTITION]:
        assert names.count(name) == 1, name
