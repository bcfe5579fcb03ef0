"""The processes of `twistd bazaar`, and their command lines, for its options."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from twisted_bazaar.errors import Unusable
from twisted_bazaar.local import plan, tap
from twisted_bazaar.local.ports import Ports
from twisted_bazaar.local.supervisor import Child
from twisted_bazaar.order.keeping import parse_keep
from twisted_bazaar.runtime.endpoint import Endpoint
from twisted_bazaar.runtime.log_settings import Format, Level, LogSettings
from twisted_bazaar.timing import Timing


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No option of the machine that runs the tests."""
    for name in tap.Options().variables():
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ports() -> Iterator[Ports]:
    ours = Ports()
    yield ours
    ours.release()


def parse(*arguments: str) -> tap.Options:
    options = tap.Options()
    options.parseOptions(list(arguments))
    return options


def config(**changes: Any) -> plan.Config:
    asked: dict[str, Any] = {
        "listen": "tcp:0:interface=127.0.0.1",
        "data": Path("/srv/bazaar"),
        "cache": "off",
        "replicas": 3,
        "listing": None,
        "timing": Timing(),
    }
    return plan.Config(**{**asked, **changes})


def options_of(child: Child) -> list[str]:
    """What follows the name of the service on its command line, but for what all have."""
    timing = {"heartbeat", "election-timeout", "ping", "lease", "tenure", "deadline"}
    log = {"log-format", "log-level"}
    given = [word for word in child.command if word.startswith("--") and "=" in word]
    others = timing | log | {"pidfile", "certificates"}
    return [word for word in given if word[2:].split("=")[0] not in others]


def test_the_default_options_are_those_of_the_contract() -> None:
    options = dict(parse())
    assert options == {
        "listen": "tcp:8081:interface=127.0.0.1",
        "data": Path("var"),
        "cache": "auto",
        "replicas": 3,
        "engine": None,
        "partitions": 1,
        "keep": None,
        "archive": "",
        "clients": None,
        "listing": None,
        "host": (),
        "public-metrics": 0,
        "access-log": 0,
        "open": 0,
        "plain-inside": 0,
        "hsts": 0,
        "trusted-proxy": (),
        "log-format": "text",
        "log-level": "info",
        "rate": None,
        "burst": None,
        "max-connections": None,
        "max-connections-per-address": None,
        "request-deadline": 20.0,
        "otlp": None,
        "trace-ratio": 0.01,
        "heartbeat": 0.06,
        "election-timeout": 0.3,
        "ping": 0.06,
        "lease": 1.0,
        "tenure": 0.6,
        "deadline": 5.0,
    }


def test_the_front_end_gets_the_names_by_which_it_is_reached(ports: Ports) -> None:
    options = parse("--host=Shop.example", "--host=10.1.2.3")
    assert options["host"] == ("shop.example", "10.1.2.3")
    frontend, *others = plan.plan(config(hosts=options["host"]), ports)
    assert options_of(frontend)[-2:] == ["--host=shop.example", "--host=10.1.2.3"]
    assert not [word for child in others for word in child.command if "--host" in word]


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("--replicas=2", "--replicas must be an odd number from 1 to 9, not '2'"),
        ("--replicas=11", "--replicas must be an odd number from 1 to 9, not '11'"),
        ("--replicas=0", "--replicas must be a whole number from 1, not '0'"),
        ("--cache=disk", "--cache must be auto, redis://HOST:PORT, memory or off, not 'disk'"),
        ("--listen=8081", "--listen must be an endpoint such as tcp:8081:interface=127.0.0.1"),
        ("--listing=none.csv", "--listing must be a file that can be read, not 'none.csv'"),
        ("--engine=mysql://a/b", "--engine must be a URL that begins with postgresql://"),
        ("--partitions=2", "--partitions must be 1 without --engine"),
        ("--keep=some", "--keep must be a size, as 2GiB, or a number of entries, not 'some'"),
        ("--heartbeat=1", "--heartbeat must be at most half of the election timeout"),
    ],
)
def test_a_wrong_option_is_one_line_that_names_it(argument: str, line: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(argument)
    assert str(stopped.value).startswith(f"Options: {line}")


def test_every_process_gets_the_addresses_of_the_others(ports: Ports) -> None:
    children = {child.name: child for child in plan.plan(config(), ports)}
    assert list(children) == ["frontend", "catalog", "order-1", "order-2", "order-3"]
    at = {name: child.address for name, child in children.items()}
    assert len(set(at.values())) == 5
    assert options_of(children["catalog"]) == [
        f"--listen={at['catalog']}",
        "--data=/srv/bazaar/catalog",
        "--secret-file=/srv/bazaar/secret",
    ]
    assert options_of(children["order-2"]) == [
        "--id=2",
        f"--listen={at['order-2']}",
        "--data=/srv/bazaar/order-2",
        f"--peer=1={at['order-1']}",
        f"--peer=3={at['order-3']}",
        f"--catalog={at['catalog']}",
    ]
    frontend = options_of(children["frontend"])
    assert f"--listen=tcp:{at['frontend'].split(':')[1]}:interface=127.0.0.1" in frontend
    assert f"--catalog={at['catalog']}" in frontend
    assert [word for word in frontend if "replica" in word] == [
        f"--replica={number}={at[f'order-{number}']}" for number in (1, 2, 3)
    ]
    (advertise,) = (word.split("=")[1] for word in frontend if "advertise" in word)
    assert f"--internal=tcp:{advertise.split(':')[1]}:interface=127.0.0.1" in frontend
    assert "--secret-file=/srv/bazaar/secret" in frontend
    assert [child.name for child in children.values() if child.takes_requests] == ["frontend"]


def test_every_process_has_the_certificates_unless_all_speak_plain_text(ports: Ports) -> None:
    given = "--certificates=/srv/bazaar/certificates"
    assert all(given in child.command for child in plan.plan(config(), ports))
    for child in plan.plan(config(plain_inside=True), ports):
        assert not any("certificates" in word for word in child.command)


def test_each_command_line_names_its_service(ports: Ports) -> None:
    services = ["bazaar-frontend", "bazaar-catalog", "bazaar-order"]
    for child, service in zip(plan.plan(config(replicas=1), ports), services, strict=True):
        assert child.command[3:6] == ["-n", "--pidfile=", service]


@pytest.mark.parametrize("kept", ["2GiB", "1000000", "0"])
def test_what_stays_in_the_log_and_where_the_rest_goes_is_said_to_replicas_alone(
    ports: Ports, kept: str
) -> None:
    options = parse(f"--keep={kept}", "--archive=s3://bucket/bazaar")
    asked = config(keep=options["keep"], archive=options["archive"])
    for child in plan.plan(asked, ports):
        said = [word for word in child.command if word.startswith(("--keep", "--archive"))]
        if child.name.startswith("order"):
            keep, archive = said
            assert parse_keep(keep.removeprefix("--keep=")) == options["keep"]
            assert archive == "--archive=s3://bucket/bazaar"
        else:
            assert not said


def test_a_folder_of_the_archive_does_not_depend_on_where_a_process_runs() -> None:
    assert parse("--archive=kept")["archive"] == str(Path.cwd() / "kept")


def test_an_engine_keeps_all_of_its_log() -> None:
    with pytest.raises(SystemExit, match="--keep is for replicas"):
        parse("--engine=embedded-postgres", "--keep=2GiB")


def test_the_form_and_level_of_the_log_are_passed_on_to_all(ports: Ports) -> None:
    options = parse("--log-format=json", "--log-level=warn")
    children = plan.plan(config(log=options.log_settings), ports)
    for child in children:
        assert {"--log-format=json", "--log-level=warn"} <= set(child.command), child.name
    assert options.log_settings == LogSettings(Format.JSON, Level.WARN)


def test_access_log_and_trusted_proxies_are_of_the_front_end_alone(ports: Ports) -> None:
    options = parse("--access-log", "--trusted-proxy=10.0.0.0/8", "--trusted-proxy=::1")
    asked = config(access_log=options["access-log"], trusted_proxies=options["trusted-proxy"])
    frontend, *others = plan.plan(asked, ports)
    assert options_of(frontend)[-2:] == ["--trusted-proxy=10.0.0.0/8", "--trusted-proxy=::1/128"]
    assert "--access-log" in frontend.command
    given = [word for child in others for word in child.command]
    assert not [word for word in given if word.startswith(("--access", "--trusted"))]
    silent = plan.plan(config(access_log=parse()["access-log"]), ports)[0]
    assert "--access-log" not in silent.command


def test_what_clients_may_use_is_said_to_the_front_end_alone(ports: Ports) -> None:
    given = [
        *("--rate=0.5", "--burst=7", "--max-connections=300"),
        *("--max-connections-per-address=20", "--request-deadline=4.5"),
    ]
    frontend, *others = plan.plan(config(limits=parse(*given).limits), ports)
    assert options_of(frontend)[-5:] == given
    assert not [word for child in others for word in child.command if word in given]
    silent = plan.plan(config(limits=parse().limits), ports)[0]
    assert not [word for word in options_of(silent) if "-connections" in word or "-dead" in word]


def test_the_timing_is_passed_on_to_all(ports: Ports) -> None:
    children = plan.plan(config(timing=Timing(lease=1.5)), ports)
    assert all("--lease=1.5" in child.command for child in children)


def test_the_listing_goes_to_the_catalog(ports: Ports) -> None:
    children = plan.plan(config(listing=Path("/srv/listing.csv")), ports)
    told = [c.name for c in children if "--listing=/srv/listing.csv" in c.command]
    assert told == ["catalog"]


def test_the_engine_is_told_to_order_processes_and_on_no_command_line(ports: Ports) -> None:
    url = "postgresql://us:hush@db-1:5432,db-2:5432/bazaar"
    options = parse(f"--engine={url}", "--partitions=4")
    asked = config(engine=options["engine"], partitions=options["partitions"])
    children = plan.plan(asked, ports)
    told = {c.name: dict(c.environment) for c in children if c.environment}
    assert told == {f"order-{n}": {"BAZAAR_ENGINE": url} for n in (1, 2, 3)}
    assert "hush" not in str([each.command for each in children])
    assert "hush" not in repr(children)
    assert all("--partitions=4" in child.command for child in children)


def test_without_an_engine_nothing_is_said_of_partitions(ports: Ports) -> None:
    children = plan.plan(config(), ports)
    assert not [word for child in children for word in child.command if "partitions" in word]
    assert not [child.name for child in children if child.environment]


def test_a_time_budget_must_fit_where_there_is_an_engine() -> None:
    assert parse("--lease=0.5", "--ping=0.05").timing.lease == 0.5
    with pytest.raises(SystemExit, match="--tenure must be less than the lease"):
        parse("--lease=0.5", "--engine=embedded-postgres")


def test_the_number_of_replicas_may_be_any_odd_number(ports: Ports) -> None:
    names = [child.name for child in plan.plan(config(replicas=5), ports)]
    assert names[2:] == ["order-1", "order-2", "order-3", "order-4", "order-5"]


@pytest.mark.parametrize(
    ("description", "shown"),
    [
        ("tcp:0:interface=127.0.0.1", "tcp:{port}:interface=127.0.0.1"),
        ("tcp:0:127.0.0.1:300", "tcp:{port}:interface=127.0.0.1:backlog=300"),
        ("tcp:port=0:interface=127.0.0.1:backlog=9", "tcp:{port}:interface=127.0.0.1:backlog=9"),
        ("tcp:interface=127.0.0.1:port=0", "tcp:{port}:interface=127.0.0.1"),
    ],
)
def test_the_endpoint_of_the_front_end_has_the_reserved_port(
    ports: Ports, description: str, shown: str
) -> None:
    frontend = plan.plan(config(listen=description), ports)[0]
    host, port = frontend.address.split(":")
    assert host == "127.0.0.1"
    assert int(port) > 0
    assert f"--listen={shown.format(port=port)}" in frontend.command


def test_an_endpoint_of_tls_has_the_reserved_port_and_says_so(ports: Ports) -> None:
    options = parse("--listen=ssl:0:privateKey=k.pem:interface=127.0.0.1", "--hsts=60")
    asked = config(listen=options["listen"], hsts_seconds=options["hsts"])
    frontend, *others = plan.plan(asked, ports)
    port = frontend.address.split(":")[1]
    (listen,) = [word for word in frontend.command if word.startswith("--listen")]
    endpoint = Endpoint.parse(listen.removeprefix("--listen="))
    assert endpoint == Endpoint.parse(options["listen"]).with_port(int(port))
    assert "--hsts=60" in frontend.command
    assert frontend.tls
    assert not any(child.tls for child in others)
    assert not plan.plan(config(), ports)[0].tls


def test_hsts_is_refused_where_clients_are_not_served_by_tls() -> None:
    with pytest.raises(SystemExit, match="--hsts needs --listen ssl:"):
        parse("--hsts=60")


def test_an_endpoint_of_another_kind_is_passed_on(ports: Ports) -> None:
    frontend = plan.plan(config(listen=r"unix:/tmp/a\:b.sock"), ports)[0]
    assert frontend.address == r"unix:/tmp/a\:b.sock"
    assert r"--listen=unix:/tmp/a\:b.sock" in frontend.command


def test_a_public_port_that_is_taken_is_refused(ports: Ports) -> None:
    with pytest.raises(Unusable, match=r"^--listen must have a port .*70000"):
        plan.plan(config(listen="tcp:70000"), ports)


def cache_of(children: list[Child]) -> str:
    return next(word[8:] for word in children[0].command if word.startswith("--cache="))


def test_the_cache_asked_for_is_passed_on(ports: Ports) -> None:
    assert cache_of(plan.plan(config(cache="redis://10.0.0.9:6379"), ports)) == (
        "redis://10.0.0.9:6379"
    )


def test_the_password_of_a_cache_is_on_no_command_line_and_in_no_list(ports: Ports) -> None:
    url = "rediss://me:hush@cache.example:6379"
    asked = config(cache=parse(f"--cache={url}")["cache"])
    children = plan.plan(asked, ports)
    told = {child.name: dict(child.environment) for child in children if child.environment}
    assert told == {"frontend": {"BAZAAR_CACHE": url}}
    assert "hush" not in str([child.command for child in children])
    assert "hush" not in repr(children)
    assert "hush" not in repr(asked)


def test_auto_prefers_the_embedded_server(ports: Ports) -> None:
    children = plan.plan(config(cache="auto"), ports)
    assert children[-1].name == "redis"
    assert children[-1].command[0].endswith("valkey-server")
    assert cache_of(children) == f"redis://{children[-1].address}"


def test_auto_takes_a_redis_server_on_path_second(
    ports: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = tmp_path / "redis-server"
    server.write_text("#!/bin/sh\n")
    server.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(plan, "embedded_server", lambda: None)
    assert plan.plan(config(cache="auto"), ports)[-1].command[0] == str(server)


def test_auto_is_memory_without_a_redis_server(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "embedded_server", lambda: None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    children = plan.plan(config(cache="auto"), ports)
    assert cache_of(children) == "memory"
    assert "redis" not in [child.name for child in children]


def test_the_front_end_alone_is_told_to_serve_metrics_to_clients(ports: Ports) -> None:
    asked = config(public_metrics=bool(parse("--public-metrics")["public-metrics"]))
    told = [child.name for child in plan.plan(asked, ports) if "--public-metrics" in child.command]
    assert told == ["frontend"]
    silent = plan.plan(config(public_metrics=bool(parse()["public-metrics"])), ports)
    assert not [child for child in silent if "--public-metrics" in child.command]
