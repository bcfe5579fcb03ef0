import pytest

from load.client.api_keys import VARIABLE, api_key
from load.errors import CannotRun


@pytest.mark.parametrize(
    ("text", "key"), [("bz_a", "bz_a"), ("bz_a\n", "bz_a"), ("", None), ("\n", None)]
)
def test_the_api_key_of_the_environment_may_have_come_from_a_file(
    monkeypatch: pytest.MonkeyPatch, text: str, key: str | None
) -> None:
    monkeypatch.setenv(VARIABLE, text)
    assert api_key() == key


@pytest.mark.parametrize("text", ["bz_a\nb", "bz a", "ключ"])
def test_what_cannot_be_an_api_key_is_a_line_without_it(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(CannotRun, match=f"^{VARIABLE} ") as caught:
        api_key()
    assert text not in str(caught.value)
    assert "\n" not in str(caught.value)
