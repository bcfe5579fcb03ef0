"""Options: command line over environment, and one line that names a wrong one."""

import os
from pathlib import Path
from typing import Any, ClassVar

import pytest
from twisted.python import usage

from twisted_bazaar.catalog import tap as catalog_tap
from twisted_bazaar.frontend import tap as frontend_tap
from twisted_bazaar.runtime import options
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.log_settings import Format, Level, LogSettings
from twisted_bazaar.timing import Timing


class Example(options.TimingOptions):
    """Stands for a service's options, with one row of each kind."""

    optParameters: ClassVar[list[list[Any]]] = [
        ["id", None, None, "Which one this is.", options.positive_int],
        ["data-folder", None, Path("var"), "Where it keeps things.", options.folder],
    ]
    optFlags: ClassVar[list[list[Any]]] = [["access-log", None, "Whether it says more."]]
    repeated: ClassVar[list[tuple[str, str, Any]]] = [
        ("peer", "ID=HOST:PORT of another one.", options.id_address),
        ("catalog", "HOST:PORT of a catalog.", options.host_port),
    ]
    required = ("id",)

    def postOptions(self) -> None:
        super().postOptions()
        self.peers = self.by_id("peer")
        if self["id"] in self.peers:
            raise usage.UsageError("--peer must not name this one")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No option of the machine that runs the tests."""
    for name in Example().variables():
        monkeypatch.delenv(name, raising=False)


def parse(*arguments: str) -> Example:
    example = Example()
    example.parseOptions(list(arguments))
    return example


def refusal(*arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        parse(*arguments)
    line = stopped.value.code
    assert isinstance(line, str), "a line for standard error, and so exit status 1"
    assert "\n" not in line
    return line


def test_options_have_their_defaults() -> None:
    assert dict(parse("--id=1")) == {
        "id": 1,
        "data-folder": Path("var"),
        "peer": (),
        "catalog": (),
        "access-log": 0,
        "log-format": "text",
        "log-level": "info",
        "heartbeat": 0.06,
        "election-timeout": 0.3,
        "ping": 0.06,
        "lease": 1.0,
        "tenure": 0.6,
        "deadline": 5.0,
    }


def test_every_option_is_also_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAZAAR_ID", "2")
    monkeypatch.setenv("BAZAAR_DATA_FOLDER", "/srv/bazaar")
    monkeypatch.setenv("BAZAAR_ELECTION_TIMEOUT", "0.5")
    monkeypatch.setenv("BAZAAR_PEER", "1=a:1, 3=c:3")
    example = parse()
    assert example["id"] == 2
    assert example["data-folder"] == Path("/srv/bazaar")
    assert example.timing == Timing(election_timeout=0.5)
    assert example.peers == {1: Address("a", 1), 3: Address("c", 3)}


def test_the_command_line_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAZAAR_ID", "2")
    monkeypatch.setenv("BAZAAR_PEER", "1=a:1,3=c:3")
    example = parse("--id", "9", "--peer", "5=e:5", "--peer", "6=f:6")
    assert example["id"] == 9
    assert example.peers == {5: Address("e", 5), 6: Address("f", 6)}


def test_an_empty_environment_variable_counts_as_not_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BAZAAR_LEASE", "")
    monkeypatch.setenv("BAZAAR_PEER", "")
    assert parse("--id=1").timing == Timing()


@pytest.mark.parametrize(
    ("text", "is_on"),
    [("1", 1), ("true", 1), ("True", 1), ("0", 0), ("false", 0), ("FALSE", 0), ("", 0)],
)
def test_an_environment_variable_switches_a_flag_on_or_off(
    monkeypatch: pytest.MonkeyPatch, text: str, is_on: int
) -> None:
    monkeypatch.setenv("BAZAAR_ACCESS_LOG", text)
    assert parse("--id=1")["access-log"] == is_on
    assert parse("--id=1", "--access-log")["access-log"] == 1


def test_form_and_level_of_the_log_pass_from_one_service_to_another() -> None:
    settings = LogSettings(Format.JSON, Level.DEBUG)
    assert settings.is_debugging
    assert parse("--id=1", *settings.arguments()).log_settings == settings
    assert parse("--id=1").log_settings == LogSettings(Format.TEXT, Level.INFO)
    assert not parse("--id=1").log_settings.is_debugging


def test_two_services_do_not_share_repeated_values() -> None:
    assert parse("--id=1", "--peer=2=b:2").peers
    assert not parse("--id=1").peers


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--nope=1"], "Example: option --nope not recognized"),
        (["--id"], "Example: option --id requires argument"),
        ([], "Example: --id must be given (or BAZAAR_ID)"),
        (["--id=x"], "Example: --id must be a whole number from 1, not 'x'"),
        (["--id=1", "more"], "Example: 'more' is not an option, and nothing else is taken"),
        (["--id=1", "--peer=2"], "Example: --peer must be ID=HOST:PORT with an id from 1 to "),
        (["--id=1", "--peer=2=b:2", "--peer=2=c:3"], "Example: --peer must be given once for id 2"),
        (["--id=1", "--peer=1=b:2"], "Example: --peer must not name this one"),
        (["--id=1", "--lease=soon"], "Example: --lease must be a positive number of seconds, "),
        (["--id=1", "--election-timeout=2"], "Example: --election-timeout must be less than the "),
        (["--id=1", "--access-log=1"], "Example: option --access-log must not have an argument"),
        (["--id=1", "--log-format=xml"], "Example: --log-format must be text or json, not 'xml'"),
        (["--id=1", "--log-level=loud"], "Example: --log-level must be debug, info, warn or error"),
        (["--id=1", "--data-folder="], "Example: --data-folder must be a folder, not ''"),
    ],
)
def test_a_wrong_option_is_one_line_that_names_it(arguments: list[str], line: str) -> None:
    assert refusal(*arguments).startswith(line)


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("BAZAAR_LEASE", "soon", "--lease (BAZAAR_LEASE) must be a positive number of seconds, "),
        ("BAZAAR_PEER", "2=b:2,3", "--peer (BAZAAR_PEER) must be ID=HOST:PORT "),
        (
            "BAZAAR_ACCESS_LOG",
            "yes please",
            "--access-log (BAZAAR_ACCESS_LOG) must be 1 or 0 or true or false, not 'yes please'",
        ),
        ("BAZAAR_LOG_FORMAT", "JSON5", "--log-format (BAZAAR_LOG_FORMAT) must be text or json, "),
    ],
)
def test_a_wrong_environment_variable_is_one_line_that_names_it_too(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, line: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert refusal("--id=1").startswith(f"Example: {line}")


def test_help_tells_every_option_and_the_environment(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse("--help")
    assert not stopped.value.code
    out = capsys.readouterr().out
    for name in ("--id=", "--data-folder=", "--peer=", "--heartbeat=", "BAZAAR_SOME_OPTION"):
        assert name in out


def test_timing_passes_from_one_service_to_another() -> None:
    timing = Timing(heartbeat=0.07, election_timeout=0.31, lease=1.25)
    assert parse("--id=1", *options.timing_arguments(timing)).timing == timing


@pytest.mark.parametrize(
    "text",
    ["tcp:8081:interface=127.0.0.1", "tcp:0", "tcp6:8081", "unix:/tmp/bazaar.sock", "ssl:8443"],
)
def test_an_endpoint_is_taken_as_twisted_writes_it(text: str) -> None:
    assert options.endpoint(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8081",
        "tcp",
        "tcp:x",
        "nope:1",
        "tcp:1:wrong=2",
        "tcp:70000",
        "systemd:domain=INET:index=0",
    ],
)
def test_a_text_that_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be an endpoint such as"):
        options.endpoint(text)


@pytest.mark.parametrize("text", ["memory", "off", "redis://127.0.0.1:6379"])
def test_a_cache_is_one_of_three(text: str) -> None:
    assert options.cache(text) == text


@pytest.mark.parametrize("text", ["", "auto", "redis", "redis://", "redis://host", "http://a:1"])
def test_a_text_that_is_no_cache_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be "):
        options.cache(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Shop.Example", "shop.example"),
        (" shop_1 ", "shop_1"),
        ("shop.example:8081", "shop.example:8081"),
        ("10.1.2.3", "10.1.2.3"),
        ("::1", "[::1]"),
        ("[2001:DB8::1]:80", "[2001:db8::1]:80"),
    ],
)
def test_a_host_is_a_name_or_address_as_urls_have_it(text: str, name: str) -> None:
    assert options.host_name(text) == name


@pytest.mark.parametrize(
    "text", ["", "http://shop.example", "a b", "shop.example/", "*", "[::1", "b\u00fccher", "x:y"]
)
def test_a_text_that_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a host name or address"):
        options.host_name(text)


def test_a_file_to_read_must_exist(tmp_path: Path) -> None:
    listing = tmp_path / "listing.csv"
    listing.write_text("")
    assert options.readable_file(str(listing)) == listing
    for wrong in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(ValueError, match="must be a file that can be read"):
            options.readable_file(str(wrong))


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"0123456789abcdef", b"0123456789abcdef"),
        (b" \t\r\n0123456789abcdef 0 \n\n", b"0123456789abcdef 0"),
        (b"\x00\xff" * 8, b"\x00\xff" * 8),
    ],
)
def test_a_secret_is_its_file_without_white_space_at_the_ends(
    tmp_path: Path, content: bytes, secret: bytes
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    assert options.secret_file(str(file)) == secret


@pytest.mark.parametrize("content", [b"", b"\n" * 20, b"0123456789abcde\n"])
def test_a_secret_that_could_be_guessed_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="must be a file of at least 16 bytes, not '.*secret'"):
        options.secret_file(str(file))


def test_a_secret_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in ("", "/", str(tmp_path), str(tmp_path / "none"), "a\0b", "/dev/zero"):
        with pytest.raises(ValueError, match="must be a file that can be read"):
            options.secret_file(wrong)
    # The user who runs the tests may be one who can read everything.
    file = tmp_path / "secret"
    file.write_bytes(b"0123456789abcdef")
    monkeypatch.setattr(Path, "read_bytes", lambda _: os.read(-1, 1))
    with pytest.raises(ValueError, match="must be a file that can be read"):
        options.secret_file(str(file))


@pytest.mark.parametrize(
    ("service", "given"),
    [
        (frontend_tap.Options, ["--catalog=[::1]:1", "--replica=1=[::1]:2"]),
        (catalog_tap.Options, ["--listen=[::1]:1", "--data=x"]),
    ],
)
def test_the_secret_comes_from_the_command_line_or_the_environment_or_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: Any, given: list[str]
) -> None:
    def parsed(*arguments: str) -> Any:
        parsing = service()
        parsing.parseOptions([*given, *arguments])
        return parsing.config

    for name in service().variables():
        monkeypatch.delenv(name, raising=False)
    files = [tmp_path / "one", tmp_path / "other", tmp_path / "short"]
    for file, content in zip(files, (b"1" * 16, b"2" * 16, b"3"), strict=True):
        file.write_bytes(content)
    assert parsed().secret == b""
    assert parsed(f"--secret-file={files[0]}").secret == b"1" * 16
    with pytest.raises(SystemExit) as stopped:
        parsed(f"--secret-file={files[2]}")
    assert str(stopped.value).startswith("Options: --secret-file must be a file of at least ")
    assert "\n" not in str(stopped.value)
    monkeypatch.setenv("BAZAAR_SECRET_FILE", str(files[1]))
    assert parsed().secret == b"2" * 16
    assert parsed(f"--secret-file={files[0]}").secret == b"1" * 16
    # What shows a configuration does not show this.
    assert "2222" not in repr(parsed())


@pytest.mark.parametrize("text", ["0", "-1", "1.0", "", "²", "1_000", "9" * 19])
def test_a_count_is_a_plain_whole_number(text: str) -> None:
    with pytest.raises(ValueError, match="must be a whole number from 1"):
        options.positive_int(text)
