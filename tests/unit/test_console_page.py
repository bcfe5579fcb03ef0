"""How commands are read from a page, and what they print is compared with it."""

import pytest

from tests.integration.console_page import Command, commands, difference, section

PAGE = """
## One

```console
$ cat > file <<'END'
$ text
END
$ for n in 1 2; do
      echo $n
  done
1
2
```

```
$ not run
```

## Two

```console
$ false  # exit status 1
```
"""


def test_commands_have_all_of_their_lines_and_what_they_print() -> None:
    first, second, third = commands(PAGE)
    assert first == Command("cat > file <<'END'\n$ text\nEND", ())
    assert second.printed == ("1", "2")
    assert (first.status, second.status, third.status) == (0, 0, 1)
    assert list(commands(section(PAGE, "Two"))) == [third]


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("ok: last_number=3 last_index=7", ["ok: last_number=3 last_index=99"]),
        ("digest=0123456789abcdef", ["digest=fedcba9876543210fedcba98"]),
        ("a\nb\nc", ["…", "c"]),
        ("a\nb\nc", ["a", "…"]),
        ("", ["…"]),
        ("a   b  ", ["a b"]),
    ],
)
def test_what_varies_may_differ(printed: str, said: list[str]) -> None:
    assert difference(printed, said) is None


@pytest.mark.parametrize(
    ("printed", "said", "missing"),
    [
        ("ok: last_number=3", ["ok: last_number=4"], "ok: last_number=4"),
        ("a\nb", ["b"], "b"),
        ("a\nb", ["a"], "b"),
        ("a\nb", ["…", "a"], "b"),
        ("a", [], "a"),
        ("", ["a"], "a"),
    ],
)
def test_what_is_fixed_must_be_printed(printed: str, said: list[str], missing: str) -> None:
    assert difference(printed, said) == missing
