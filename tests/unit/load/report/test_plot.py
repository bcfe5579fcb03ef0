"""Charts: positions of values, axes, bands and names."""

from itertools import pairwise
from xml.etree.ElementTree import Element, fromstring

import pytest

from load.report.plot import Band, Chart, Series, draw, lanes
from load.report.scale import Scale

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*series: Series, bands: tuple[Band, ...] = (), **options: object) -> Element:
    chart = Chart(
        title="Latency", across="p, %", up="ms", series=series, bands=bands,
        **options,  # type: ignore[arg-type]
    )  # fmt: skip
    return fromstring(draw(chart, "one"))


def dots(svg: Element) -> list[tuple[float, float]]:
    return [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in svg.iter(f"{SVG}circle")]


def paths(svg: Element) -> list[str]:
    return [path.attrib["d"] for path in svg.iter(f"{SVG}path")]


def texts(svg: Element) -> list[str]:
    return [text.text or "" for text in svg.iter(f"{SVG}text")]


def rectangles(svg: Element, kind: str) -> list[Element]:
    return [each for each in svg.iter(f"{SVG}rect") if kind in each.attrib["class"].split()]


def bottom(svg: Element) -> float:
    """The position of the horizontal axis."""
    return max(
        float(line.attrib["y1"])
        for line in svg.iter(f"{SVG}line")
        if line.attrib["class"] == "axis" and line.attrib["y1"] == line.attrib["y2"]
    )


def test_a_point_lies_where_its_values_are_on_both_axes() -> None:
    svg = drawn(Series("a", [(0, 0), (40, 5), (80, 10)], dots=True), plot_height=200.0)
    (left, low), middle, (right, high) = dots(svg)
    assert (left, right) == (60.0, 466.0)
    assert low == bottom(svg)
    assert low - high == 200.0
    assert middle == pytest.approx(((left + right) / 2, (low + high) / 2), abs=0.1)
    assert paths(svg) == [
        " ".join(f"{'L' if n else 'M'}{x:.1f} {y:.1f}" for n, (x, y) in enumerate(dots(svg)))
    ]


def test_the_axes_are_numbered_in_round_steps_over_all_values() -> None:
    shown = texts(drawn(Series("a", [(0, 3.1), (80, 11.7)])))
    for tick in ("0", "20", "40", "60", "80", "5", "10", "15"):
        assert tick in shown
    assert "25" not in shown


@pytest.mark.parametrize("most", [1e-7, 0.3, 1.0, 7.0, 49.9, 1234.5, 3e9])
def test_no_value_is_above_the_last_line_of_the_grid(most: float) -> None:
    svg = drawn(Series("a", [(0, 0), (1, most)], dots=True), plot_height=200.0)
    (_, low), (_, high) = dots(svg)
    assert 100.0 < low - high <= 200.0
    grid = [line for line in svg.iter(f"{SVG}line") if line.attrib["class"] == "grid"]
    assert 2 <= len(grid) <= 7


def test_the_distance_of_ticks_is_proportional_to_their_values() -> None:
    scale = Scale(0.0, 7.0, 0.0, 70.0)
    assert scale.ticks() == [0.0, 2.0, 4.0, 6.0]
    assert [scale.at(tick) for tick in scale.ticks()] == [0.0, 20.0, 40.0, 60.0]


def test_a_logarithmic_axis_has_decades_evenly_apart() -> None:
    scale = Scale(1.0, 1000.0, 300.0, 0.0, logarithmic=True)
    assert scale.ticks() == [1.0, 10.0, 100.0, 1000.0]
    places = [scale.at(tick) for tick in scale.ticks()]
    assert [round(a - b, 6) for a, b in pairwise(places)] == [100.0] * 3
    assert scale.at(0.0) == 300.0
    assert Scale(1.0, 20.0, 0.0, 1.0, logarithmic=True).ticks() == [1.0, 2.0, 5.0, 10.0, 20.0]


def test_a_logarithmic_chart_shows_zero_at_its_bottom() -> None:
    svg = drawn(Series("a", [(0, 0.0), (1, 20.0), (2, 900.0)], dots=True), logarithmic=True)
    (_, nothing), (_, some), (_, most) = dots(svg)
    assert nothing == bottom(svg)
    assert nothing > some > most
    assert {"10", "100", "1,000"} <= set(texts(svg))


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_chart_without_values_can_be_drawn(logarithmic: bool) -> None:
    assert not paths(drawn(logarithmic=logarithmic))
    empty = drawn(Series("a", []), Series("b", [(1.0, None)]), logarithmic=logarithmic)
    assert not paths(empty)
    assert not dots(empty)


def test_a_point_without_neighbours_is_marked_even_without_dots() -> None:
    single = drawn(Series("a", [(20.0, 4.0)]))
    assert not paths(single)
    ((x, _),) = dots(single)
    assert x == (60.0 + 466.0) / 2
    broken = drawn(Series("a", [(0, 1), (1, 1), (2, None), (3, 1), (4, None), (5, 1), (6, 1)]))
    (path,) = paths(broken)
    assert path.count("M") == 2
    assert path.count("L") == 2
    assert len(dots(broken)) == 1


def test_names_are_escaped() -> None:
    odd = 'a<b> & "c" </svg>'
    svg = drawn(Series(odd, [(0, 1)]), bands=(Band(odd, "kill", 0, 1),), named=True)
    assert texts(svg).count(odd) == 2
    assert f"ms by p, %: {odd}. Marked: {odd}." in [each.text for each in svg.iter(f"{SVG}desc")]


def test_a_chart_has_a_title_and_a_description_for_screen_readers() -> None:
    svg = drawn(Series("auto", [(0, 1)]))
    assert svg.attrib["role"] == "img"
    named = svg.attrib["aria-labelledby"].split()
    said = {each.attrib.get("id"): each.text for each in svg}
    assert [said[each] for each in named] == ["Latency", "ms by p, %: auto."]


def test_a_band_covers_its_span_and_one_without_length_can_be_seen() -> None:
    line = Series("a", [(0, 1), (100, 1)])
    bands = (Band("pause leader", "pause", 25, 75), Band("kill leader", "kill", 50, 50))
    svg = drawn(line, bands=bands)
    long, short = rectangles(svg, "pause")[-1], rectangles(svg, "kill")[-1]
    left, width = float(long.attrib["x"]), float(long.attrib["width"])
    assert left == pytest.approx(60 + 406 / 4, abs=0.1)
    assert width == pytest.approx(406 / 2, abs=0.1)
    assert float(short.attrib["width"]) == 2.0
    assert [each.text for each in long] == ["pause leader, 25.00 to 75.00"]
    assert {"killed", "paused"} <= set(texts(svg))
    assert "pause leader" not in texts(svg)
    assert "pause leader" in texts(drawn(line, bands=bands, named=True))


def test_the_names_of_bands_do_not_overlap_nor_leave_the_chart() -> None:
    bands = tuple(Band("kill leader and its successor", "kill", at, at) for at in range(100))
    svg = drawn(Series("a", [(0, 1), (99, 1)]), bands=bands, named=True)
    at: dict[float, list[float]] = {}
    for text in svg.iter(f"{SVG}text"):
        if text.text == bands[0].name:
            at.setdefault(float(text.attrib["y"]), []).append(float(text.attrib["x"]))
    assert sum(map(len, at.values())) == 100
    length = len(bands[0].name) * 5.5
    for row in at.values():
        assert all(after - before > length for before, after in pairwise(sorted(row)))
        assert max(row) + length < 480
    assert max(at) < bottom(svg) - 200


def test_a_span_takes_the_first_lane_that_is_free() -> None:
    assert lanes([(0, 5), (1, 2), (2, 3), (4, 8), (5, 6), (0, 1)]) == [0, 1, 1, 1, 0, 1]
    assert lanes([]) == []
