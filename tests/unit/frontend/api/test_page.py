"""The files of the live page, as they are served and as they are written."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.frontend_world import FrontEnd
from twisted_bazaar.frontend.page import files
from twisted_bazaar.frontend.page.files import MEDIA_TYPES, POLICY

FOLDER = Path(files.__file__).parent
NAMES = [path.name for path in FOLDER.rglob("*") if path.suffix in MEDIA_TYPES]
TEXTS = {path.name: path.read_text() for path in FOLDER.iterdir() if path.suffix in MEDIA_TYPES}
IMPORT = re.compile(r'(?:from |import\()"([^"]+)"')
OTHER_HOST = re.compile(r"""(?:https?:)?//[a-z0-9-]+\.[a-z]""")


@pytest.fixture
def frontend() -> FrontEnd:
    return FrontEnd()


def asked(frontend: FrontEnd, path: str, method: str = "GET", *lines: str) -> Any:
    """Status, headers and body of the answer."""
    head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""])
    top, _, body = frontend.connect().send(head.encode()).partition(b"\r\n\r\n")
    status, *fields = top.decode().split("\r\n")
    headers = dict(field.split(": ", 1) for field in fields)
    return int(status.split()[1]), headers, body


class Tags(HTMLParser):
    """The start tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags() -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(TEXTS["index.html"])
    return parser.found


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_served_with_its_type_and_a_strict_policy(frontend: FrontEnd, name: str) -> None:
    code, headers, body = asked(frontend, f"/page/{name}")
    [path] = FOLDER.rglob(name)
    assert (code, body) == (200, path.read_bytes())
    assert headers["Content-Type"] == f"{MEDIA_TYPES[path.suffix]}; charset=utf-8"
    assert headers["Content-Security-Policy"].encode() == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-cache"


def test_the_page_is_at_the_root_whatever_the_client_accepts(frontend: FrontEnd) -> None:
    code, headers, body = asked(frontend, "/", "GET", "Accept: application/json")
    assert (code, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert body == (FOLDER / "index.html").read_bytes()


def test_a_client_that_has_a_file_is_told_so_and_one_that_has_another_is_not(
    frontend: FrontEnd,
) -> None:
    tag = asked(frontend, "/page/page.css")[1]["ETag"]
    code, headers, body = asked(frontend, "/page/page.css", "GET", f"If-None-Match: {tag}")
    assert (code, headers["ETag"], body) == (304, tag, b"")
    assert asked(frontend, "/page/main.js", "GET", f"If-None-Match: {tag}")[0] == 200


def test_head_is_get_without_the_body(frontend: FrontEnd) -> None:
    code, headers, body = asked(frontend, "/", "HEAD")
    assert (code, body) == (200, b"")
    assert int(headers["Content-Length"]) == len((FOLDER / "index.html").read_bytes())


@pytest.mark.parametrize(
    "name", ["files.py", "__init__.py", "nothing.js", "vendor", "..%2Ffiles.py", "%2Fetc%2Fpasswd"]
)
def test_nothing_else_is_served(frontend: FrontEnd, name: str) -> None:
    assert asked(frontend, f"/page/{name}")[0] == 404


def test_the_policy_allows_no_inline_script_or_style_and_no_other_host() -> None:
    directives = dict(each.split(" ", 1) for each in POLICY.decode().split("; "))
    assert directives.pop("default-src") == "'none'"
    assert directives == {
        **dict.fromkeys(("script-src", "style-src", "connect-src"), "'self'"),
        "img-src": "'self' data:",
        **dict.fromkeys(("base-uri", "form-action", "frame-ancestors"), "'none'"),
    }


def test_the_page_has_no_inline_script_or_style() -> None:
    for tag, attributes in tags():
        assert tag != "style"
        assert tag != "script" or attributes.get("src")
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag


def test_whatever_the_page_loads_is_there() -> None:
    loaded = {
        attributes.get("src") or attributes.get("href") or ""
        for tag, attributes in tags()
        if tag in ("script", "link")
    }
    local = {each.removeprefix("page/") for each in loaded if not each.startswith("data:")}
    imported = {name.removeprefix("./") for text in TEXTS.values() for name in IMPORT.findall(text)}
    assert local | imported <= {*NAMES}
    assert {name for name in NAMES if name.endswith((".js", ".css"))} == local | imported


def test_no_file_of_ours_names_another_host() -> None:
    for name, text in TEXTS.items():
        text = text.replace("http://www.w3.org/2000/svg", "")
        assert not OTHER_HOST.search(text), name


def test_each_module_says_what_it_is_for() -> None:
    assert all(text.startswith("// ") for name, text in TEXTS.items() if name.endswith(".js"))


def test_the_charting_library_has_its_licence_and_version_with_it() -> None:
    assert "MIT License" in (FOLDER / "vendor" / "uPlot.LICENSE").read_text()
    version = (FOLDER / "vendor" / "uPlot.VERSION").read_text().split()[1].rstrip(",")
    banner = (FOLDER / "vendor" / "uPlot.esm.js").read_text()[:600]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert f"(v{version})" in banner
