from tests import ROOT
from tests.integration.only_with_files import ONE_PARTITION, ONLY_WITH_FILES


def test_each_exception_is_of_a_test_that_there_is() -> None:
    for name in [*ONLY_WITH_FILES, *ONE_PARTITION]:
        module, _, test = name.partition("::")
        source = (ROOT / "tests" / "integration" / f"{module}.py").read_text()
        assert f"def {test}(" in source or not test, name
