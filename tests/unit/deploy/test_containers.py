"""docker-compose.yml and the Dockerfile say what the services understand, and nothing unsafe."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.python.reflect import namedAny

from tests import ROOT
from twisted_bazaar.http import listener
from twisted_bazaar.local import bazaar
from twisted_bazaar.rpc.frames import server as frames
from twisted_bazaar.rpc.serving import server as grpc_server
from twisted_bazaar.runtime import exits
from twisted_bazaar.runtime.options import Options
from twisted_bazaar.security.folder import CertificateFolder
from twisted_bazaar.security.roles import Role

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SCHEMA = ROOT / "tests" / "containers" / "compose-spec.json"
SECRET = "secret"
"""The service that makes the secret, and its volume."""
ENGINE_SECRET = "engine-secret"
"""The same for the password of the engine."""
CERTIFICATES = "certificates"
"""The service that makes the certificates; the volumes of roles begin with its name."""
OPERATOR = "operator"
"""The tools, as the role that changes the market."""
ROLES = ("frontend", "catalog", "order-1", "order-2", "order-3", "operator", "monitor")
ENGINE = [name for name in SERVICES if SERVICES[name].get("profiles") == ["engine"]]
SECRETS = {SECRET, ENGINE_SECRET}
ONCE = {*SECRETS, CERTIFICATES}
"""The services that end."""
BUILT = {name for name in SERVICES if "build" in SERVICES[name]}
OURS = sorted(BUILT - {SECRET, CERTIFICATES, OPERATOR, *ENGINE})
POSTGRES = [name for name in ENGINE if name.startswith("postgres")]
ETCD = [name for name in ENGINE if name.startswith("etcd")]
ORDERS = [name for name in OURS if SERVICES[name]["command"][0] == "bazaar-order"]
CATALOGS = [name for name in OURS if SERVICES[name]["command"][0] == "bazaar-catalog"]
FRONTENDS = [name for name in OURS if SERVICES[name]["command"][0] == "bazaar-frontend"]
MONITORING = [name for name in SERVICES if SERVICES[name].get("profiles") == ["monitoring"]]
EVERYWHERE = "0.0.0.0"
DOCKERFILES = ROOT / "Dockerfile", ROOT / "deploy" / "engine" / "Dockerfile"
PINNED = re.compile(r"[a-z0-9./-]+(:v?\d+\.\d+\.\d+[\w.-]*|@sha256:[0-9a-f]{64})$")


def default(text: str) -> str:
    """`text` with what each `${NAME:-default}` stands for by default."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def mounts(name: str) -> dict[str, tuple[str, bool]]:
    """Where each volume is seen in a container, and whether it is read-only there."""
    parts = [each.split(":") for each in SERVICES[name].get("volumes", [])]
    return {volume: (path, mode == ["ro"]) for volume, path, *mode in parts}


def files(name: str) -> dict[Path, str]:
    """Which of the project's files and folders a container sees, and where: all read-only."""
    found = {ROOT / each: at for each, (at, _) in mounts(name).items() if each.startswith("./")}
    assert all(mounts(name)[f"./{path.relative_to(ROOT)}"][1] for path in found), name
    return found


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each service makes of its command and environment."""
    secret = tmp_path_factory.mktemp("secret") / "secret"
    secret.write_bytes(bytes(range(65, 97)))
    return {name: config_of(name, secret) for name in OURS}


def config_of(name: str, secret: Path) -> Any:
    service = SERVICES[name]
    environment = {name: default(text) for name, text in service["environment"].items()}
    assert all(isinstance(value, str) for value in environment.values()), environment
    if "BAZAAR_SECRET_FILE" in environment:
        at = Path(environment["BAZAAR_SECRET_FILE"])
        assert mounts(name)[SECRET] == (str(at.parent), True), f"{name} cannot read the secret"
        environment["BAZAAR_SECRET_FILE"] = str(secret)
    command, *arguments = service["command"]
    (maker,) = (each for each in getPlugins(IServiceMaker) if each.tapname == command)
    options: Options = namedAny(f"{maker.module}.Options")()
    # That is libpq's.
    unknown = environment.keys() - options.variables() - {"PGPASSFILE"}
    assert not unknown, f"{command} knows no {unknown}"
    with pytest.MonkeyPatch.context() as patch:
        for each in [each for each in os.environ if each.startswith("BAZAAR_")]:
            patch.delenv(each)
        for each, value in environment.items():
            patch.setenv(each, value)
        options.parseOptions(arguments)
    return options.config  # type: ignore[attr-defined]


# docker-compose.yml


def test_the_compose_file_is_valid() -> None:
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text())).validate(COMPOSE)


def test_every_service_understands_its_command_and_environment(configs: dict[str, Any]) -> None:
    assert len(ORDERS) == 3
    assert CATALOGS
    assert len(FRONTENDS) == 2
    assert configs.keys() == {*ORDERS, *CATALOGS, *FRONTENDS}


def test_every_replica_knows_all_others_and_every_catalog(configs: dict[str, Any]) -> None:
    reached = {configs[name].replica: f"{name}:{configs[name].listen.port}" for name in ORDERS}
    assert len(reached) == len(ORDERS)
    for name in ORDERS:
        config = configs[name]
        known = {peer: str(at) for peer, at in config.peers.items()}
        assert {**known, config.replica: f"{name}:{config.listen.port}"} == reached, name
        assert {str(at) for at in config.catalogs} == catalogs(configs), name
        assert config.listen.host == EVERYWHERE, name


def test_every_frontend_knows_all_replicas_every_catalog_and_redis(
    configs: dict[str, Any],
) -> None:
    reached = {configs[name].replica: f"{name}:{configs[name].listen.port}" for name in ORDERS}
    for name in FRONTENDS:
        config = configs[name]
        assert {replica: str(at) for replica, at in config.replicas.items()} == reached, name
        assert {str(at) for at in config.catalogs} == catalogs(configs), name
        assert config.cache == "redis://redis:6379", name
    assert "--port" not in SERVICES["redis"]["command"]


def catalogs(configs: dict[str, Any]) -> set[str]:
    assert all(configs[name].listen.host == EVERYWHERE for name in CATALOGS)
    return {f"{name}:{configs[name].listen.port}" for name in CATALOGS}


def test_catalogs_can_reach_every_frontend_at_its_advertised_address(
    configs: dict[str, Any],
) -> None:
    for name in FRONTENDS:
        config = configs[name]
        assert re.fullmatch(r"tcp:\d+", config.internal), f"{name} listens on one interface only"
        assert str(config.advertise) == f"{name}:{config.internal.removeprefix('tcp:')}"
        assert config.internal != config.listen


def test_all_that_share_the_secret_have_it(configs: dict[str, Any]) -> None:
    assert all(configs[name].secret for name in CATALOGS + FRONTENDS)
    waiting = [SERVICES[name]["depends_on"][SECRET] for name in CATALOGS + FRONTENDS]
    assert all(each == {"condition": "service_completed_successfully"} for each in waiting)


def test_the_time_budget_is_the_same_everywhere(configs: dict[str, Any]) -> None:
    assert len({config.timing for config in configs.values()}) == 1


def test_no_service_depends_on_another_being_up() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES
            condition = "service_completed_successfully" if other in ONCE else "service_started"
            assert how == {"condition": condition}, name


def test_clients_may_trade_by_the_names_that_lead_to_a_front_end(configs: dict[str, Any]) -> None:
    for name in FRONTENDS:
        assert configs[name].hosts == (name, "127.0.0.1")
        # HOSTS names more.
        assert SERVICES[name]["environment"]["BAZAAR_HOST"].endswith(",${HOSTS:-}")


def test_only_frontends_and_monitoring_are_published_on_this_machine_alone(
    configs: dict[str, Any],
) -> None:
    published = [(name, port) for name in SERVICES for port in SERVICES[name].get("ports", [])]
    assert [name for name, _ in published if name not in MONITORING] == FRONTENDS
    outside = []
    for name, port in published:
        address, out, inside = default(port).split(":")
        assert address == "127.0.0.1"
        if name in FRONTENDS:
            assert f"tcp:{inside}" == configs[name].listen
        outside.append(out)
    assert len(set(outside)) == len(outside)
    assert not any("network_mode" in SERVICES[name] for name in OURS)


def test_every_replica_and_catalog_keeps_its_data_in_a_volume_of_its_own(
    configs: dict[str, Any],
) -> None:
    used = []
    for name in ORDERS + CATALOGS:
        (volume,) = [
            each for each in mounts(name).keys() - SECRETS if not each.startswith(CERTIFICATES)
        ]
        assert mounts(name)[volume] == (str(configs[name].data), False)
        used.append(volume)
    for name in ETCD + POSTGRES:
        assert mounts(name)[name] == ("/data", False)
        used.append(name)
    used += [f"{CERTIFICATES}-{role}" for role in ROLES]
    used += [*SECRETS, "authority", "prometheus"]
    assert sorted(used) == sorted(COMPOSE["volumes"])


def test_every_service_sees_the_certificate_of_its_own_role_only(configs: dict[str, Any]) -> None:
    for name in SERVICES.keys() - {CERTIFICATES}:
        seen = {volume for volume in mounts(name) if volume.startswith(CERTIFICATES)}
        role = "monitor" if name == "prometheus" else re.sub(r"(frontend)-\d", r"\1", name)
        if role not in ROLES:
            assert not seen, name
            continue
        at = f"/etc/certificates/{role}"
        assert {volume: mounts(name)[volume] for volume in seen} == {
            f"{CERTIFICATES}-{role}": (at, True)
        }
        assert SERVICES[name]["depends_on"][CERTIFICATES] == {
            "condition": "service_completed_successfully"
        }
        if name != "prometheus":
            assert SERVICES[name]["environment"]["BAZAAR_CERTIFICATES"] == at
        assert "authority" not in mounts(name), name


def test_the_certificates_are_made_once_and_the_monitor_s_can_be_read_by_prometheus(
    tmp_path: Path,
) -> None:
    (program,) = SERVICES[CERTIFICATES]["command"]
    assert "$" not in program, "compose would put something else there"
    for volume, (path, _) in mounts(CERTIFICATES).items():
        at = "authority" if volume == "authority" else f"certificates/{volume.partition('-')[2]}"
        assert path == f"/etc/{at}"
        (tmp_path / at).mkdir(parents=True)
    here = program.replace("/etc", str(tmp_path)).replace("python3", sys.executable)
    made = []
    for _ in range(2):
        subprocess.run([*SERVICES[CERTIFICATES]["entrypoint"], here], check=True, cwd=ROOT)
        found = sorted(path for path in tmp_path.rglob("*") if path.is_file())
        made.append({path: path.read_bytes() for path in found})
    assert made[0] == made[1]
    for role in ROLES:
        folder = CertificateFolder(tmp_path / "certificates" / role)
        assert folder.read(Role.parse(role))
        assert not folder.authority_key.exists()
    modes = {path: path.stat().st_mode & 0o077 for path in made[0]}
    assert {path.parent.name for path, mode in modes.items() if mode} == {"monitor"}


def test_no_container_may_do_more_than_it_must() -> None:
    user = re.search(r"^USER (\S+)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert user is not None
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        # Prometheus is its image's own user, to whom its volume there belongs.
        assert service["user"] == ("65534:65534" if name == "prometheus" else user[1]), name
        allowed = {"/data", "/etc/bazaar", "/etc/engine", "/prometheus", *files(name).values()}
        allowed |= {"/etc/authority", *(f"/etc/certificates/{role}" for role in ROLES)}
        assert {path for path, _ in mounts(name).values()} <= allowed, name
        assert service["pids_limit"] > 0, name
        assert re.fullmatch(r"[1-9]\d*[mg]", default(service["mem_limit"])), name


def test_clients_and_services_have_separate_networks() -> None:
    networks = {"public": {}, "monitoring": {}, "inner": {"internal": True}}
    assert COMPOSE["networks"] == networks
    on = {name: SERVICES[name].get("networks") for name in SERVICES.keys() - ONCE}
    expected = {name: ["public", "inner"] if name in FRONTENDS else ["inner"] for name in on}
    monitoring = {"prometheus": ["monitoring", "inner"], "grafana": ["monitoring"]}
    assert on == {**expected, **monitoring}
    assert all(SERVICES[name]["network_mode"] == "none" for name in ONCE)


def test_every_container_has_an_init_process() -> None:
    assert all(service["init"] is True for service in SERVICES.values())


def test_every_service_is_restarted_and_has_a_health_check() -> None:
    for name in sorted(SERVICES.keys() - ONCE - {OPERATOR}):
        service = SERVICES[name]
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"][0] == "CMD", name
        rotation = service["logging"]["options"]
        assert rotation.keys() == {"max-size", "max-file", "mode", "max-buffer-size"}, name
        assert rotation["mode"] == "non-blocking", name
    health = [SERVICES[name]["healthcheck"]["test"] for name in OURS]
    assert all(test == health[0] for test in health)
    assert f"CMD {json.dumps(health[0][1:])}" in (ROOT / "Dockerfile").read_text()


def test_every_service_has_time_to_stop() -> None:
    # A stop has a time limit, and flushing the output takes a moment more.
    graces = [each.GRACE_SECONDS for each in (grpc_server, frames, listener)]
    assert max(graces) < exits.STOP_SECONDS
    # All services in one container stop one after the other, and docker waits for 10 s.
    assert exits.STOP_SECONDS < bazaar.STOP_SECONDS < 10
    for name in OURS:
        given = float(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        assert given >= exits.STOP_SECONDS + 1, name


def test_images_are_pinned() -> None:
    for name in ("redis", *MONITORING):
        assert PINNED.match(default(SERVICES[name]["image"])), name
    assert {default(SERVICES[name]["image"]) for name in OURS} == {"twisted-bazaar"}
    assert {default(SERVICES[name]["image"]) for name in ENGINE} == {"twisted-bazaar-engine"}
    for file in DOCKERFILES:
        base = re.search(r"^ARG BASE=(.*)$", file.read_text(), re.M)
        assert base is not None
        assert PINNED.match(base[1])
        assert "-slim-bookworm" in base[1]


def test_the_choices_are_documented_at_the_top() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    head, _, body = text.partition("\nname:")
    chosen = set(re.findall(r"\$\{(\w+)", body)) | set(SERVICES[OURS[0]]["build"]["args"])
    assert set(re.findall(r"\b[A-Z][A-Z_0-9]{3,}\b", head)) == chosen


def test_the_secret_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    (program,) = SERVICES[SECRET]["command"]
    assert "$" not in program.replace("$$", ""), "compose would put something else there"
    here = program.replace("/etc/bazaar", str(tmp_path))
    assert mounts(SECRET) == {SECRET: ("/etc/bazaar", False)}
    made = []
    for _ in range(2):
        subprocess.run([*SERVICES[SECRET]["entrypoint"], here], check=True)
        made.append((tmp_path / "secret").read_bytes())
    assert made[0] == made[1]
    assert len(made[0].strip()) >= 32
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o400
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_no_secret_is_in_the_environment_or_the_image() -> None:
    for name, service in SERVICES.items():
        assert "env_file" not in service, name
        told = [each for each in service.get("environment", {}) if re.search(HIDDEN, each)]
        assert all(each.endswith("_FILE") for each in told), name
    for word, rest in instructions():
        assert not (word in ("ENV", "ARG") and re.search(HIDDEN, rest)), rest


HIDDEN = r"(?i)secret|passw|token|credential|_key\b"


# The profile `engine`.


def test_the_engine_has_three_servers_and_three_members_of_etcd_that_know_each_other() -> None:
    assert (len(POSTGRES), len(ETCD)) == (3, 3)
    cluster = ",".join(f"{name}=http://{name}:2380" for name in ETCD)
    for name in ETCD:
        command = SERVICES[name]["command"]
        assert f"--initial-cluster={cluster}" in command, name
        assert f"--name={name}" in command, name
        assert f"--advertise-client-urls=http://{name}:2379" in command, name
        assert f"--initial-advertise-peer-urls=http://{name}:2380" in command, name
    members = ",".join(f"{name}:2379" for name in ETCD)
    for name in POSTGRES:
        told = {"NAME": name, "ETCD": members, "PGPASSFILE": "/etc/engine/pgpass"}
        assert SERVICES[name]["environment"] == told


def test_replicas_and_servers_share_a_password_that_is_made_once(tmp_path: Path) -> None:
    for name in ORDERS + POSTGRES:
        assert mounts(name)[ENGINE_SECRET] == ("/etc/engine", True), name
        assert SERVICES[name]["environment"]["PGPASSFILE"] == "/etc/engine/pgpass"
    (program,) = SERVICES[ENGINE_SECRET]["command"]
    assert "$" not in program, "compose would put something else there"
    made = []
    for _ in range(2):
        here = program.replace("/etc/engine", str(tmp_path))
        subprocess.run([*SERVICES[ENGINE_SECRET]["entrypoint"], here], check=True)
        made.append((tmp_path / "pgpass").read_text())
    assert made[0] == made[1]
    assert re.fullmatch(r"\*:\*:\*:bazaar:[\w-]{32}\n", made[0])
    assert stat.S_IMODE((tmp_path / "pgpass").stat().st_mode) == 0o400
    assert [path.name for path in tmp_path.iterdir()] == ["pgpass"]


def test_the_engine_that_the_documentation_names_is_that_of_the_profile() -> None:
    url = f"postgresql://bazaar@{','.join(POSTGRES)}/bazaar"
    assert f"ENGINE={url}" in (ROOT / "docs" / "engines.md").read_text()


def test_a_commit_is_on_two_servers_and_patroni_promotes_none_that_lacks_one() -> None:
    told = yaml.safe_load((ROOT / "deploy" / "engine" / "patroni.yml").read_text())
    dcs = told["bootstrap"]["dcs"]
    assert dcs["synchronous_mode"] == "quorum"
    assert dcs["synchronous_mode_strict"] is True
    assert dcs["synchronous_node_count"] == 1
    assert dcs["maximum_lag_on_failover"] == 0
    assert dcs["postgresql"]["parameters"]["synchronous_commit"] == "on"
    # It would be the leader's: a batch is waited for by its own time limit.
    assert "statement_timeout" not in dcs["postgresql"]["parameters"]
    assert all(line.endswith("scram-sha-256") for line in told["postgresql"]["pg_hba"])


# Dockerfile


def instructions() -> list[tuple[str, str]]:
    """Each instruction and what follows it."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found = [line.partition(" ") for line in joined.splitlines() if line.strip()]
    return [(word, rest.strip()) for word, _, rest in found]


def test_the_image_is_made_in_two_stages_of_one_pinned_base() -> None:
    froms = [rest for word, rest in instructions() if word == "FROM"]
    assert froms == ["${BASE} AS build", "${BASE}"]
    assert not [rest for word, rest in instructions() if word == "ADD"]


def test_packages_are_installed_by_hash() -> None:
    runs = [rest for word, rest in instructions() if word == "RUN"]
    (installs,) = [run for run in runs if "requirements.txt" in run]
    assert "--require-hashes" in installs
    assert "--only-binary=:all:" in installs
    # Our own wheel: from this tree, and nothing else with it.
    (ours,) = [run for run in runs if "wheels/" in run]
    assert "--no-index" in ours
    assert "--no-deps" in ours


def test_the_image_runs_a_service_as_a_fixed_user_with_a_health_check() -> None:
    final = instructions()[max(n for n, (word, _) in enumerate(instructions()) if word == "FROM") :]
    last = dict(final)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"])
    assert json.loads(last["ENTRYPOINT"])[0] == "twistd"
    assert json.loads(last["CMD"])[0] == "bazaar"
    health = last["HEALTHCHECK"].partition("CMD ")[2]
    assert json.loads(health) == ["python3", "-m", "twisted_bazaar", "health"]
    after = [word for word, _ in final][[word for word, _ in final].index("USER") :]
    assert not {"RUN", "COPY"} & set(after), "that would be done as the user"


def test_the_build_context_is_what_is_copied() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    sent = {rule[1:] for rule in rules if rule.startswith("!")}
    copies = [rest.split() for word, rest in instructions() if word == "COPY"]
    copied = {name for words in copies if "--from=build" not in words for name in words[:-1]}
    assert sent == copied
    assert all((ROOT / name).exists() for name in sent)


def test_hadolint_finds_nothing() -> None:
    beside = str(Path(sys.executable).parent)
    hadolint = shutil.which("hadolint", path=os.pathsep.join((beside, os.environ["PATH"])))
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    ran = subprocess.run([hadolint, *DOCKERFILES], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
