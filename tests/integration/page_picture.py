"""Takes the picture of the live page that the README opens with: `make picture`.

A crowd trades, the leader is killed, and another one has just taken over.
"""

import sys
import zlib
from base64 import b64decode, b64encode
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser

from .bazaar import Bazaar
from .browser import chromium, opened
from .replicas import leader

WINDOW = 1280, 800
TRADING_SECONDS = 45.0
AFTERWARDS_SECONDS = 4.0
"""Within which the new leader is still shown as new."""
MAX_BYTES = 250_000
_SHADES = bytes(round(value / 5) * 5 for value in range(256))
"""Fewer than a screen has; white stays white, and the eye sees no difference."""

_PIXELS = """async (png) => {
  const bytes = Uint8Array.from(atob(png), (character) => character.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  let text = "";
  for (let at = 0; at < data.length; at += 32768)
    text += String.fromCharCode(...data.subarray(at, at + 32768));
  return [bitmap.width, bitmap.height, btoa(text)];
}"""


def take(picture: Path) -> None:
    with TemporaryDirectory() as folder, chromium() as browser, Bazaar(Path(folder)) as bazaar:
        with opened(browser, bazaar.url, WINDOW) as page:
            page.wait_live()
            page.page.check("#crowd")
            page.page.wait_for_timeout(1000 * TRADING_SECONDS)
            old = leader(bazaar)
            bazaar.kill(old)
            page.wait("#happened", f"took over from replica {old[-1]}")
            page.page.wait_for_timeout(1000 * AFTERWARDS_SECONDS)
            page.page.select_option("[name=name]", "GameStart")
            page.page.click("#send")
            page.wait("#outcome[data-kind=placed]")
            page.page.click("h2 >> nth=0")  # Nothing has the focus.
            taken = page.page.screenshot(full_page=True)
        packed = repacked(browser, taken)
    assert len(packed) < MAX_BYTES, f"{len(packed)} bytes are too many for a README"
    picture.write_bytes(packed)


def repacked(browser: Browser, png: bytes) -> bytes:
    """The same picture in fewer bytes. A browser packs quickly, not well: a page has few colours,
    and rows that are alike, which are found best in rows as they are."""
    page = browser.new_page()
    width, height, text = page.evaluate(_PIXELS, b64encode(png).decode())
    page.close()
    pixels = b64decode(text)
    rgb = bytearray(3 * width * height)
    for colour in range(3):
        rgb[colour::3] = pixels[colour::4].translate(_SHADES)
    row = 3 * width
    rows = b"".join(b"\0" + rgb[at : at + row] for at in range(0, len(rgb), row))
    head = width.to_bytes(4) + height.to_bytes(4) + bytes((8, 2, 0, 0, 0))
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)
        for kind, data in parts
    )


if __name__ == "__main__":
    take(Path(sys.argv[1]))
