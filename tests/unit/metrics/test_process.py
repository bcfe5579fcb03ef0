"""A process says which one it is, and how late its reactor and its log are."""

from twisted.internet.task import Clock

from twisted_bazaar import __version__
from twisted_bazaar.metrics.figures import Family, Gauges, Histogram, Metrics
from twisted_bazaar.metrics.process import LAG_INTERVAL_SECONDS, ProcessFigures


class LateClock(Clock):
    """Calls what is due so much later."""

    late = 0.0

    def pass_interval(self) -> None:
        self.rightNow += self.late
        self.advance(LAG_INTERVAL_SECONDS)


def made(clock: Clock) -> tuple[ProcessFigures, Metrics]:
    metrics = Metrics()
    return ProcessFigures(clock, metrics, "order", "3", lambda: 12), metrics


def gauge(metrics: Metrics, name: str) -> Gauges:
    [found] = (each for each in metrics if each.name == name)
    assert isinstance(found, Gauges)
    return found


def lag(metrics: Metrics) -> Histogram:
    [found] = (each for each in metrics if each.name == "bazaar_event_loop_lag_seconds")
    assert isinstance(found, Family)
    value = found.of()
    assert isinstance(value, Histogram)
    return value


def test_it_says_which_process_it_is_and_what_its_log_lost() -> None:
    clock = Clock()
    clock.advance(100)
    _, metrics = made(clock)
    clock.advance(31.5)
    info = gauge(metrics, "bazaar_info")
    assert (info.labels, info.read()) == (
        ("service", "id", "version"),
        {("order", "3", __version__): 1},
    )
    assert gauge(metrics, "bazaar_uptime_seconds").read() == {(): 31.5}
    lost = gauge(metrics, "bazaar_log_lines_dropped_total")
    assert (lost.kind, lost.read()) == ("counter", {(): 12})


def test_the_lag_is_how_late_the_reactor_calls() -> None:
    clock = LateClock()
    figures, metrics = made(clock)
    figures.startService()
    for late in (0.0, 0.125, 2.0):
        clock.late = late
        clock.pass_interval()
    assert lag(metrics).count == 3
    assert lag(metrics).total == 2.125


def test_it_measures_nothing_once_it_is_stopped() -> None:
    clock = LateClock()
    figures, metrics = made(clock)
    figures.startService()
    clock.pass_interval()
    figures.stopService()
    assert clock.getDelayedCalls() == []
    clock.pass_interval()
    assert lag(metrics).count == 1
