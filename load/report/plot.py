"""Charts as SVG: lines over an axis, and bands that mark spans of it. Pure.

The parts of a chart have classes, not colours: `load.report.html` has the styles, for light and
for dark pages.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import ceil, floor, log10
from xml.etree.ElementTree import Element, SubElement, tostring

import msgspec

from .scale import TICKS, Scale, step_of

__all__ = ["BAND_KINDS", "COLOURS", "Band", "Chart", "Series", "draw", "lanes"]

COLOURS = 4
"""The number of colours for series."""
BAND_KINDS = {
    "kill": "killed",
    "pause": "paused",
    "mix": "some killed, some paused",
    "down": "down for long",
    "cut": "cut off",
    "spoil": "cache content lost or old",
    "folder": "folder replaced",
    "slow": "disks slow",
    "astray": "address diverted",
    "fill": "disk full",
    "switch": "switch-over",
}
"""The kinds of bands, with their words in the legend. Each has a colour."""

LEFT, RIGHT = 60.0, 14.0
TITLE_HEIGHT, LEGEND_HEIGHT, LANE_HEIGHT, FOOT_HEIGHT = 24.0, 18.0, 15.0, 40.0
CHARACTER_WIDTH = 6.2
"""An upper estimate for small letters."""
MOMENT_WIDTH = 2.0
"""The width of a band that takes no time."""


class Series(msgspec.Struct, frozen=True):
    """A line."""

    name: str
    points: Sequence[tuple[float, float | None]]
    """From left to right. None breaks the line."""
    colour: int = 0
    """From 0 to `COLOURS` - 1."""
    dashed: bool = False
    dots: bool = False
    """Whether each point is marked. A point without neighbours always is."""


class Band(msgspec.Struct, frozen=True):
    """A span of the horizontal axis with a name."""

    name: str
    kind: str
    """One of `BAND_KINDS`."""
    begin: float
    end: float


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    across: str
    """The label of the horizontal axis, with its unit."""
    up: str
    """The label of the vertical axis, with its unit."""
    series: Sequence[Series]
    bands: Sequence[Band] = ()
    named: bool = False
    """Whether the names of the bands are written above the plot."""
    logarithmic: bool = False
    """Whether the vertical axis is logarithmic; else it begins with 0."""
    width: float = 480.0
    plot_height: float = 200.0


def _across(chart: Chart) -> tuple[float, float]:
    found = [x for series in chart.series for x, _ in series.points]
    found += [at for band in chart.bands for at in (band.begin, band.end)]
    low, high = min(found, default=0.0), max(found, default=1.0)
    return (low, high) if low < high else (low - 1.0, high + 1.0)


def _up(chart: Chart) -> tuple[float, float]:
    values = [y for series in chart.series for _, y in series.points if y is not None]
    if not chart.logarithmic:
        most = max(values, default=0.0)
        step = step_of(most / TICKS) if most > 0 else 1.0
        return 0.0, ceil(most / step - 1e-9) * step if most > 0 else 1.0
    values = [value for value in values if value > 0] or [1.0]
    low = 10.0 ** floor(log10(min(values)))
    return low, max(step_of(max(values)), low * 10)


def lanes(spans: Sequence[tuple[float, float]]) -> list[int]:
    """A lane for each of `spans`: the lowest in which it overlaps no earlier one."""
    taken: list[list[tuple[float, float]]] = []
    found = []
    for begin, end in spans:
        lane = next(
            (n for n, others in enumerate(taken)
             if all(end <= other[0] or other[1] <= begin for other in others)),
            len(taken),
        )  # fmt: skip
        if lane == len(taken):
            taken.append([])
        taken[lane].append((begin, end))
        found.append(lane)
    return found


def draw(chart: Chart, name: str) -> str:
    """`chart` as an SVG element. `name` is a word that is unique on the page."""
    return tostring(_Drawing(chart, name).drawn(), encoding="unicode")


class _Label(msgspec.Struct, frozen=True):
    """The name of a band above the plot: a bar as long as the band, and a text over it."""

    band: Band
    begin: float
    end: float
    lane: int


class _Drawing:
    """From top to bottom: title, legend, names of bands, the plot, its horizontal axis."""

    def __init__(self, chart: Chart, name: str) -> None:
        self._chart = chart
        self._name = name
        right = chart.width - RIGHT
        self._x = Scale(*_across(chart), LEFT, right)
        self._labels = self._place_labels() if chart.named else []
        self._legend = list(self._place_legend())
        rows = max((row for _, row, _, _ in self._legend), default=-1) + 1
        self._lanes_top = TITLE_HEIGHT + rows * LEGEND_HEIGHT + 4
        lane_count = max((label.lane for label in self._labels), default=-1) + 1
        self._top = self._lanes_top + lane_count * LANE_HEIGHT + 6
        self._bottom = self._top + chart.plot_height
        low, high = _up(chart)
        self._y = Scale(low, high, self._bottom, self._top, logarithmic=chart.logarithmic)

    def drawn(self) -> Element:
        chart, name = self._chart, self._name
        svg = Element("svg", {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {chart.width:g} {self._bottom + FOOT_HEIGHT:g}",
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-description",
        })  # fmt: skip
        SubElement(svg, "title", {"id": f"{name}-title"}).text = chart.title
        SubElement(svg, "desc", {"id": f"{name}-description"}).text = self._described()
        _text(svg, "chart-title", 4, 15, chart.title)
        self._draw_legend(svg)
        self._draw_bands(svg)
        self._draw_axes(svg)
        for series in chart.series:
            self._draw_series(svg, series)
        self._draw_labels(svg)
        return svg

    def _described(self) -> str:
        chart = self._chart
        names = ", ".join(series.name for series in chart.series)
        said = f"{chart.up} by {chart.across}: {names or 'nothing'}."
        if chart.bands:
            said += f" Marked: {', '.join(dict.fromkeys(band.name for band in chart.bands))}."
        return said

    def _place_legend(self) -> Iterator[tuple[float, int, str, str]]:
        """The position, the row, the classes and the text of each entry."""
        entries = [(_classes(series), series.name) for series in self._chart.series]
        kinds = {band.kind for band in self._chart.bands}
        entries += [(f"band {kind}", text) for kind, text in BAND_KINDS.items() if kind in kinds]
        at, row = LEFT, 0
        for classes, text in entries:
            length = 22 + len(text) * CHARACTER_WIDTH + 14
            if at + length > self._chart.width and at > LEFT:
                at, row = LEFT, row + 1
            yield at, row, classes, text
            at += length

    def _draw_legend(self, svg: Element) -> None:
        for at, row, classes, text in self._legend:
            middle = TITLE_HEIGHT + row * LEGEND_HEIGHT + LEGEND_HEIGHT / 2
            if classes.startswith("band"):
                _rectangle(svg, f"{classes} bar", at, middle - 5, 18, 10)
            else:
                _line(svg, classes, at, middle, at + 18, middle)
            _text(svg, "small", at + 22, middle + 4, text)

    def _draw_axes(self, svg: Element) -> None:
        chart, right = self._chart, self._chart.width - RIGHT
        for tick in self._y.ticks():
            at = self._y.at(tick)
            _line(svg, "grid", LEFT, at, right, at)
            _text(svg, "small", LEFT - 6, at + 4, _number(tick), anchor="end")
        for tick in self._x.ticks():
            at = self._x.at(tick)
            _line(svg, "axis", at, self._bottom, at, self._bottom + 4)
            _text(svg, "small", at, self._bottom + 16, _number(tick), anchor="middle")
        _line(svg, "axis", LEFT, self._bottom, right, self._bottom)
        middle = (LEFT + right) / 2
        _text(svg, "small", middle, self._bottom + 33, chart.across, anchor="middle")
        up = _text(svg, "small", 0, 0, chart.up, anchor="middle")
        up.set("transform", f"translate(11 {(self._top + self._bottom) / 2:.1f}) rotate(-90)")

    def _draw_bands(self, svg: Element) -> None:
        for band in self._chart.bands:
            begin, end = self._x.at(band.begin), self._x.at(band.end)
            height = self._bottom - self._top
            width = max(MOMENT_WIDTH, end - begin)
            kind = f"band {band.kind}{' bar' if width == MOMENT_WIDTH else ''}"
            drawn = _rectangle(svg, kind, begin, self._top, width, height)
            SubElement(drawn, "title").text = _tooltip(band)

    def _place_labels(self) -> list[_Label]:
        bands = sorted(self._chart.bands, key=lambda band: band.begin)
        spans = []
        for band in bands:
            begin, end = self._x.at(band.begin), self._x.at(band.end)
            length = len(band.name) * CHARACTER_WIDTH + 8
            begin = max(LEFT, min(begin, self._chart.width - length))
            spans.append((begin, max(begin + length, end + MOMENT_WIDTH)))
        return [
            _Label(band, begin, end, lane)
            for band, (begin, end), lane in zip(bands, spans, lanes(spans), strict=True)
        ]

    def _draw_labels(self, svg: Element) -> None:
        for label in self._labels:
            top = self._lanes_top + label.lane * LANE_HEIGHT
            begin, end = self._x.at(label.band.begin), self._x.at(label.band.end)
            bar = _rectangle(
                svg, f"band {label.band.kind} bar", begin, top, max(MOMENT_WIDTH, end - begin), 13
            )
            SubElement(bar, "title").text = _tooltip(label.band)
            _text(svg, "small", label.begin + 4, top + 10, label.band.name)

    def _draw_series(self, svg: Element, series: Series) -> None:
        steps: list[str] = []
        alone: list[tuple[float, float]] = []
        for known, run in groupby(series.points, lambda point: point[1] is not None):
            points = [(x, y) for x, y in run if y is not None] if known else []
            steps += [
                f"{'L' if n else 'M'}{self._x.at(x):.1f} {self._y.at(y):.1f}"
                for n, (x, y) in enumerate(points if len(points) > 1 else ())
            ]
            alone += points if series.dots or len(points) == 1 else []
        if steps:
            SubElement(svg, "path", {"class": _classes(series), "d": " ".join(steps)})
        self._draw_dots(svg, series, alone)

    def _draw_dots(
        self, svg: Element, series: Series, points: Iterable[tuple[float, float]]
    ) -> None:
        radius = "3" if series.dots else "1.5"
        for x, y in points:
            dot = SubElement(svg, "circle", {
                "class": f"dot colour-{series.colour}", "r": radius,
                "cx": f"{self._x.at(x):.1f}", "cy": f"{self._y.at(y):.1f}",
            })  # fmt: skip
            SubElement(dot, "title").text = f"{series.name}: {y:.4g} at {_number(x)}"


def _classes(series: Series) -> str:
    return f"line colour-{series.colour}{' dashed' if series.dashed else ''}"


def _tooltip(band: Band) -> str:
    return f"{band.name}, {band.begin:.2f} to {band.end:.2f}"


def _number(value: float) -> str:
    return f"{value:,.10g}"


def _text(svg: Element, kind: str, x: float, y: float, text: str, anchor: str = "") -> Element:
    element = SubElement(svg, "text", {"class": kind, "x": f"{x:.1f}", "y": f"{y:.1f}"})
    if anchor:
        element.set("text-anchor", anchor)
    element.text = text
    return element


def _line(svg: Element, kind: str, x1: float, y1: float, x2: float, y2: float) -> None:
    ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    SubElement(svg, "line", {"class": kind, **{name: f"{at:.1f}" for name, at in ends.items()}})


def _rectangle(svg: Element, kind: str, x: float, y: float, width: float, height: float) -> Element:
    sides = {"x": x, "y": y, "width": width, "height": height}
    attributes = {name: f"{at:.1f}" for name, at in sides.items()}
    return SubElement(svg, "rect", {"class": kind, **attributes})
