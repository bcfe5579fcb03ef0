"""Where an engine is, and how many partitions there are: what is taken, and what is shown."""

import pytest

from twisted_bazaar.engine.options import engine_url, partitions, shown


def test_an_engine_is_named_as_libpq_names_it() -> None:
    url = "postgresql://bazaar@db1:5432,db2:5432/bazaar?target_session_attrs=read-write"
    assert engine_url(f" {url} ") == url


@pytest.mark.parametrize("text", ["", "mysql://u:secret@h/d", "postgresql:secret", "secret\n"])
def test_a_refusal_of_a_url_does_not_repeat_it(text: str) -> None:
    with pytest.raises(ValueError, match="must be a URL that begins with postgresql://$"):
        engine_url(text)


@pytest.mark.parametrize(
    ("url", "without"),
    [
        ("postgresql://u:p4ss@db:5432/d", "postgresql://u@db:5432/d"),
        ("postgresql://u:p@ss@a,b/d?x=1", "postgresql://u@a,b/d?x=1"),
        ("postgresql://u:p/4?s#s@a,b/d?x=1", "postgresql://u@a,b/d?x=1"),
        ("postgresql://db/d?user=u&password=p4ss&x=1", "postgresql://db/d?user=u&password=…&x=1"),
        ("postgresql:///d?sslpassword=p4ss", "postgresql:///d?sslpassword=…"),
        ("postgresql://db", "postgresql://db"),
    ],
)
def test_a_password_is_not_shown(url: str, without: str) -> None:
    assert shown(url) == without


@pytest.mark.parametrize("text", ["0", "1001", "-1", "x", "1.0", "9" * 40])
def test_partitions_are_one_to_a_thousand(text: str) -> None:
    with pytest.raises(ValueError, match="must be a whole number from 1 to 1000"):
        partitions(text)
    assert partitions("1000") == 1000
