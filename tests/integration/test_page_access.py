"""The live page of a bazaar that asks for API keys, in a browser."""

import subprocess
import sys
from pathlib import Path

import pytest

from .bazaar import Bazaar
from .browser import accessibility_faults, chromium, opened


@pytest.mark.slow
def test_the_page_asks_for_an_api_key_and_keeps_it_out_of_urls(tmp_path: Path) -> None:
    file = tmp_path / "clients.toml"

    def add(name: str, permissions: str) -> str:
        added = [sys.executable, "-m", "twisted_bazaar", "clients", "add", str(file), name]
        added.append(f"--permissions={permissions}")
        return subprocess.run(added, capture_output=True, text=True, check=True).stdout.strip()

    key, blind = add("alice", "read,trade"), add("blind", "trade")
    with chromium() as browser, Bazaar(tmp_path / "bazaar", f"--clients={file}") as bazaar:
        with opened(browser, bazaar.url) as page:
            urls: list[str] = []
            page.page.on("request", lambda request: urls.append(request.url))
            page.wait("#access[open]", "asks who you are")
            assert accessibility_faults(page.page) == []
            page.page.fill("#access input", "bz_wrong")
            page.page.click("#access button")
            page.wait("#access[open]", "No client has this API key")
            page.page.fill("#access input", "ключ")
            page.page.click("#access button")
            assert page.page.locator("#access input:invalid").count() == 1, "no header can have it"
            page.page.fill("#access input", blind)
            page.page.click("#access button")
            page.wait("#access[open]", "This client may not read")
            page.page.fill("#access input", key)
            page.page.click("#access button")
            page.wait_live()
            assert not page.page.locator("#access[open]").count()
            page.page.click("#send")
            page.wait("#outcome[data-kind=placed]", "Bought 5 shares")
            page.wait_number(1)
            # It is kept for this tab.
            page.page.reload()
            page.wait_live()
            page.wait_number(1)
            assert not [url for url in urls if key in url or blind in url or "wrong" in url]
            assert page.violations() == []
        answer = bazaar.request("GET", "/orders/1", headers={"Authorization": f"Bearer {key}"})
        assert answer.body["data"]["client"] == "alice"
        assert key not in bazaar.log.read_text()
