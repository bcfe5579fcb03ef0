"""Stacks of the templates of `deploy/aws`, made by moto: no account, no network, no machine.

Moto resolves parameters, references and conditions, and makes what it knows of. What it knows
nothing of is named in `aws_templates.NOT_IN_MOTO`. It ignores most of what is special to Fargate,
boots no instance and runs no task: what these would run is tried in `test_aws_commands.py`.
"""

import json
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from moto.cloudformation.parsing import get_model_map

from tests.fakes.aws_templates import CLIENTS, NOT_IN_MOTO, ROOT, STACK, made, resources, template
from twisted_bazaar import __main__ as console
from twisted_bazaar.catalog import tap as catalog_tap
from twisted_bazaar.frontend import tap as frontend_tap
from twisted_bazaar.local import tap as local_tap
from twisted_bazaar.order import tap as order_tap

SERVICES = {
    "bazaar": local_tap.Options,
    "bazaar-frontend": frontend_tap.Options,
    "bazaar-catalog": catalog_tap.Options,
    "bazaar-order": order_tap.Options,
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No option of the machine that runs the tests."""
    for options in SERVICES.values():
        for name in options().variables():
            monkeypatch.delenv(name, raising=False)


def tasks() -> dict[str, Any]:
    """The containers on Fargate, by family and name, as moto resolved them."""
    found: dict[str, Any] = made("fargate", "new")["containers"]
    return found


def entry_point() -> list[str]:
    (line,) = re.findall(r"^ENTRYPOINT (.+)$", (ROOT / "Dockerfile").read_text(), re.M)
    words: list[str] = json.loads(line)
    return words


def twistd(container: dict[str, Any]) -> list[str]:
    """The twistd command line that a container ends up with."""
    if "entryPoint" in container:
        (script,) = container["command"]
        last = script.strip().splitlines()[-1]
        assert last.startswith("exec twistd ")
        return shlex.split(last)[1:]
    return [*entry_point(), *container["command"]]


def parsed(argv: list[str], given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the service makes of its command line and environment. All variables must be its."""
    assert argv[:3] == ["twistd", "--nodaemon", "--pidfile="]
    options = SERVICES[argv[3]]()
    ours = {name for name in given if name.startswith("BAZAAR_")}
    assert ours <= options.variables()
    for name in ours:
        monkeypatch.setenv(name, given[name])
    options.parseOptions(argv[4:])
    return options


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["environment"]}


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The options of every service on Fargate, by the name at which others reach it."""
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef")
    found = {}
    for name, container in tasks().items():
        family, what = name.split(".")
        if what == "readiness":
            continue
        given = variables(container)
        # These two are made by the entry command, which test_aws_commands.py runs.
        if "BAZAAR_SECRET_FILE" in given:
            given["BAZAAR_SECRET_FILE"] = str(secret)
        if what == "front-end":
            assert "export BAZAAR_ADVERTISE=" in container["command"][0]
        with monkeypatch.context() as patch:
            found[family] = parsed(twistd(container), given, patch)
    return found


@pytest.mark.parametrize("kind", sorted(NOT_IN_MOTO))
def test_types_left_out_for_moto_are_unknown_to_it(kind: str) -> None:
    # Where this fails, moto has learned something: take the type off the list.
    assert kind not in get_model_map()


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("single", "image"),
        ("single", "archive"),
        ("fargate", "new"),
        ("fargate", "secure"),
        ("fargate", "aurora"),
    ],
)
def test_a_stack_can_be_created_and_deleted(name: str, variant: str) -> None:
    facts, whole = made(name, variant), template(name)
    assert facts["status"] == "CREATE_COMPLETE"
    expected = {
        key
        for key, each in whole["Resources"].items()
        if each["Type"] not in NOT_IN_MOTO and "Condition" not in each
    }
    assert expected <= facts["resources"]
    assert ("Files" in facts["resources"]) == (variant in ("new", "aurora"))
    assert ("EngineSubnets" in facts["resources"]) == (variant == "aurora")
    assert facts["outputs"].keys() == whole["Outputs"].keys()
    assert not facts["left"]


def test_with_a_certificate_http_only_redirects() -> None:
    def shape(variant: str) -> dict[int, str]:
        listeners = made("fargate", variant)["listeners"]
        return {port: each["DefaultActions"][0]["Type"] for port, each in listeners.items()}

    assert shape("new") == {80: "forward"}
    assert shape("secure") == {80: "redirect", 443: "forward"}
    assert made("fargate", "new")["outputs"]["Url"].startswith("http://")
    assert made("fargate", "secure")["outputs"]["Url"].startswith("https://")


def test_the_instance_runs_the_bazaar_with_options_that_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    facts = made("single", "image")
    script = facts["user data"]
    (command,) = re.findall(r"^docker run .+?[^\\]$", script, re.M | re.S)
    words = shlex.split(command)
    given = dict(value.split("=", 1) for option, value in pairwise(words) if option == "--env")
    # The script asks the instance for its names.
    assert given["BAZAAR_HOST"] == "$names"
    assert re.search(r"^names='.*'\n(.*\n)+?.*names=\"\$names,\$name\"$", script, re.M)
    given["BAZAAR_HOST"] = "shop.example,"
    assert given["BAZAAR_CLIENTS"] == "$clients"
    given["BAZAAR_CLIENTS"] = ""
    image = words.index("$image")
    options = parsed([*entry_point(), *words[image + 1 :]], given, monkeypatch)
    assert (options["listen"], options["host"]) == ("tcp:8081", ("shop.example",))
    assert words[words.index("--publish") + 1] == "8081:8081"
    (rule,) = facts["let in"]
    assert (rule["FromPort"], rule["ToPort"]) == (8081, 8081)
    assert [each["CidrIp"] for each in rule["IpRanges"]] == [CLIENTS]
    mount = words[words.index("--mount") + 1]
    assert mount.endswith(f",target={options['data']}")
    assert "http://127.0.0.1:8081/readyz" in script


def test_each_replica_knows_the_two_others_and_the_catalog(services: dict[str, Any]) -> None:
    addresses = {n: f"order-{n}.{STACK}.internal:7001" for n in (1, 2, 3)}
    for number in addresses:
        config = services[f"order-{number}"].config
        assert config.replica == number
        peers = {replica: str(at) for replica, at in config.peers.items()}
        assert peers == {n: at for n, at in addresses.items() if n != number}
        assert [str(at) for at in config.catalogs] == [f"catalog.{STACK}.internal:7100"]
        (container,) = [
            each for name, each in tasks().items() if name.startswith(f"order-{number}.")
        ]
        (mount,) = container["mountPoints"]
        assert Path(mount["containerPath"]) == config.data


@pytest.mark.parametrize(
    ("variant", "engine", "partitions"),
    [("new", False, 1), ("aurora", True, 16), ("rds", True, 16)],
)
def test_replicas_keep_their_log_in_the_engine_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, variant: str, engine: bool, partitions: int
) -> None:
    facts = made("fargate", variant)
    for family in ("order-1.order", "order-2.order", "order-3.order"):
        container = facts["containers"][family]
        config = parsed(twistd(container), variables(container), monkeypatch).config
        url = "postgresql://bazaar@engine.example:5432/bazaar?sslmode=require"
        assert config.engine == (url if engine else "")
        assert config.partitions == partitions
        # ECS puts it there, and it is in no definition.
        secrets = [each["name"] for each in container.get("secrets", [])]
        assert secrets == (["PGPASSWORD"] if engine else [])
    for family in ("front-end.front-end", "catalog.catalog"):
        given = variables(facts["containers"][family])
        assert given["BAZAAR_PARTITIONS"] == str(partitions)
    # A cluster of RDS has its servers by itself.
    servers = [name for name in facts["resources"] if name.startswith("EngineServer")]
    assert len(servers) == (2 if variant == "aurora" else 0)


def test_front_ends_know_all_replicas_the_catalog_and_the_cache(services: dict[str, Any]) -> None:
    config = services["front-end"].config
    replicas = {replica: str(at) for replica, at in config.replicas.items()}
    assert replicas == {n: f"order-{n}.{STACK}.internal:7001" for n in (1, 2, 3)}
    assert [str(at) for at in config.catalogs] == [f"catalog.{STACK}.internal:7100"]
    assert config.cache == "rediss://cache.example:6379"
    assert config.secret == services["catalog"].config.secret != b""


def test_names_are_those_that_cloud_map_is_told() -> None:
    names = resources("fargate", "AWS::ServiceDiscovery::Service").values()
    assert {each["Name"] for each in names} == {"catalog", "order-1", "order-2", "order-3"}
    (namespace,) = resources("fargate", "AWS::ServiceDiscovery::PrivateDnsNamespace").values()
    assert namespace["Name"] == {"Fn::Sub": "${AWS::StackName}.internal"}


def ways() -> Iterator[tuple[str, str, int]]:
    """Who is let in where: the group that asks, that which is asked, and the port."""
    for rule in resources("fargate", "AWS::EC2::SecurityGroupIngress").values():
        assert rule["IpProtocol"] == "tcp"
        assert rule["FromPort"] == rule["ToPort"]
        asks, asked = rule["SourceSecurityGroupId"], rule["GroupId"]
        yield asks["Fn::GetAtt"][0], asked["Fn::GetAtt"][0], rule["FromPort"]


@pytest.mark.parametrize(
    ("variant", "more"), [("new", ""), ("secure", "bazaar.example,www.bazaar.example")]
)
def test_clients_may_trade_by_the_name_of_the_load_balancer_and_others_that_are_given(
    variant: str, more: str
) -> None:
    facts = made("fargate", variant)
    given = variables(facts["containers"]["front-end.front-end"])
    balancer = facts["outputs"]["Url"].partition("://")[2]
    assert given["BAZAAR_HOST"] == f"{balancer},{more}"


def test_security_groups_open_the_ports_in_use_and_no_others(services: dict[str, Any]) -> None:
    front_end, catalog = services["front-end"].config, services["catalog"].config
    orders = [services[f"order-{n}"].config for n in (1, 2, 3)]
    (serving,) = {order.listen.port for order in orders}
    clients, internal = (
        int(endpoint.split(":")[1]) for endpoint in (front_end.listen, front_end.internal)
    )
    advertise = tasks()["front-end.front-end"]["command"][0]
    assert f'BAZAAR_ADVERTISE="$address:{internal}"' in advertise
    front, market, log = "FrontEndGroup", "CatalogGroup", "OrderGroup"
    needed = {
        ("LoadBalancerGroup", front, clients),
        (market, front, internal),
        *((front, log, at.port) for at in front_end.replicas.values()),
        *((log, log, at.port) for order in orders for at in order.peers.values()),
        *((log, market, at.port) for order in orders for at in order.catalogs),
        *((front, market, at.port) for at in front_end.catalogs),
        (front, "CacheGroup", int(front_end.cache.rpartition(":")[2])),
        (log, "FileGroup", 2049),
        (log, "EngineGroup", 5432),
        *((group, "EndpointGroup", 443) for group in (front, market, log)),
    }
    assert set(ways()) == needed
    assert (serving, catalog.listen.port) == (7001, 7100)
    groups = {
        name: service["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"]
        for name, service in resources("fargate", "AWS::ECS::Service").items()
    }
    assert groups == {
        "FrontEndService": [{"Fn::GetAtt": [front, "GroupId"]}],
        "CatalogService": [{"Fn::GetAtt": [market, "GroupId"]}],
        **{f"Order{n}Service": [{"Fn::GetAtt": [log, "GroupId"]}] for n in (1, 2, 3)},
    }


def test_a_container_opens_the_ports_that_its_service_listens_on(services: dict[str, Any]) -> None:
    listening = {
        "catalog.catalog": [services["catalog"].config.listen.port],
        **{f"order-{n}.order": [services[f"order-{n}"].config.listen.port] for n in (1, 2, 3)},
        "front-end.front-end": [
            int(services["front-end"][name].split(":")[1]) for name in ("listen", "internal")
        ],
        "front-end.readiness": [],
    }
    opened = {
        name: [each["containerPort"] for each in container["portMappings"]]
        for name, container in tasks().items()
    }
    assert opened == listening
    (clients, _) = listening["front-end.front-end"]
    (targets,) = resources("fargate", "AWS::ElasticLoadBalancingV2::TargetGroup").values()
    assert targets["Port"] == clients
    balanced = resources("fargate", "AWS::ECS::Service")["FrontEndService"]["LoadBalancers"]
    assert [(each["ContainerName"], each["ContainerPort"]) for each in balanced] == [
        ("front-end", clients)
    ]
    probe = variables(tasks()["front-end.readiness"])
    assert probe == {"READYZ": f"http://127.0.0.1:{clients}/readyz"}
    balancer = resources("fargate", "AWS::EC2::SecurityGroup")["LoadBalancerGroup"]
    assert [each["FromPort"] for each in balancer["SecurityGroupEgress"]] == [clients]


def test_the_health_check_is_a_command_that_exists(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checked = {name: each["healthCheck"] for name, each in tasks().items() if "healthCheck" in each}
    assert set(checked) == {"catalog.catalog", *(f"order-{n}.order" for n in (1, 2, 3))}
    # Nothing is asked at such an endpoint, but the command has read it.
    monkeypatch.setenv("BAZAAR_LISTEN", "unix:/nowhere")
    for check in checked.values():
        kind, *words = check["command"]
        assert (kind, words[:3]) == ("CMD", ["python3", "-m", "twisted_bazaar"])
        assert console.main(words[3:]) == 1
        assert capsys.readouterr().err.startswith("health: BAZAAR_LISTEN")
