"""HTML pages that need no other file: no script, no font, no image. Pure."""

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["document", "heading", "paragraph", "preformatted", "table"]

_STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1b1f24; --faint: #5c6670; --grid: #dfe3e8; --wrong: #b42318;
  --colour-0: #0b62c4; --colour-1: #c2410c; --colour-2: #0f7b4f; --colour-3: #8b2fb3;
  --kill: #d92d20; --pause: #d39a00; --mix: #8b2fb3; --down: #7a4a2b; --cut: #2f6fde;
  --spoil: #0e9384; --folder: #c11574; --slow: #667085; --astray: #4d7c0f;
  --fill: #344054; --switch: #0369a1;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --ink: #e6e9ed; --faint: #9aa4af; --grid: #313841; --wrong: #ff8a7a;
    --colour-0: #6cb0ff; --colour-1: #ff9a5c; --colour-2: #5bd39b; --colour-3: #d79bf0;
    --kill: #ff6b5e; --pause: #e5b93c; --mix: #c98be6; --down: #c99a78; --cut: #7aa7ff;
    --spoil: #4fd1c1; --folder: #f67fc0; --slow: #a3adb8; --astray: #a3d65c;
    --fill: #d0d5dd; --switch: #7dd3fc;
  }
}
body {
  background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif;
  margin: 0 auto; max-width: 1120px; padding: 1rem 1.25rem 3rem;
}
h1 { font-size: 1.5rem; margin: 1rem 0 .5rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .4rem 0; max-width: 75ch; }
code, pre { font: 12.5px/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; border: 1px solid var(--grid); border-radius: 6px; padding: .75rem; }
.wrong { color: var(--wrong); font-weight: 600; }
.charts {
  display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
}
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .75rem 0 .25rem; }
th, td { border-bottom: 1px solid var(--grid); padding: .2rem .7rem; text-align: right; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .chart-title { font-size: 13px; font-weight: 600; }
svg .small { font-size: 11px; }
svg .grid { stroke: var(--grid); }
svg .axis { stroke: var(--faint); }
svg .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
svg .dashed { stroke-dasharray: 5 3; }
svg .colour-0 { --own: var(--colour-0); } svg .colour-1 { --own: var(--colour-1); }
svg .colour-2 { --own: var(--colour-2); } svg .colour-3 { --own: var(--colour-3); }
svg .line { stroke: var(--own); }
svg .dot { fill: var(--own); }
svg .kill { --own: var(--kill); } svg .pause { --own: var(--pause); }
svg .mix { --own: var(--mix); } svg .down { --own: var(--down); }
svg .cut { --own: var(--cut); } svg .spoil { --own: var(--spoil); }
svg .folder { --own: var(--folder); } svg .slow { --own: var(--slow); }
svg .astray { --own: var(--astray); } svg .fill { --own: var(--fill); }
svg .switch { --own: var(--switch); }
svg .band { fill: var(--own); fill-opacity: .16; }
svg .bar { fill-opacity: .5; }
"""


def document(title: str, parts: Iterable[str]) -> str:
    """A whole page. `parts` are HTML."""
    heading = escape(title)
    return "\n".join([
        "<!doctype html>",
        '<html lang="en">',
        '<head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{heading}</title>",
        f"<style>{_STYLE}</style></head>",
        f"<body><h1>{heading}</h1>",
        *parts,
        "</body></html>\n",
    ])  # fmt: skip


def heading(text: str) -> str:
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str, *, wrong: bool = False) -> str:
    return f'<p class="wrong">{escape(text)}</p>' if wrong else f"<p>{escape(text)}</p>"


def preformatted(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n" for row in rows
    )
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )
