import pytest

from twisted_bazaar.access import Client, Permission
from twisted_bazaar.frontend.access.client_file import (
    API_KEY_BYTES,
    ClientEntry,
    api_key,
    hash_of,
    read_clients,
    written,
)
from twisted_bazaar.rate import Rate

HASH = hash_of(b"bz_secret")
OTHER = hash_of(b"bz_other")


def test_a_client_is_what_its_table_says() -> None:
    text = f"""
        [clients.alice]
        key_hash = "{HASH}"
        permissions = ["read", "operate"]
        rate = 50
        burst = 100

        [clients."bot.7"]
        key_hash = ["{OTHER}"]
    """
    read = read_clients(text)
    permissions = frozenset({Permission.READ, Permission.OPERATE})
    assert read["alice"] == ClientEntry(Client("alice", permissions, Rate(50_000, 100)), (HASH,))
    usual = frozenset({Permission.READ, Permission.TRADE})
    assert read["bot.7"] == ClientEntry(Client("bot.7", usual), (OTHER,))


def test_what_is_written_is_read_again() -> None:
    entries = [
        ClientEntry(Client("a.b", frozenset({Permission.READ}), Rate(2_500, 7)), (HASH, OTHER)),
        ClientEntry(Client("bot", frozenset(), Rate.of(0.001)), ()),
        ClientEntry(Client("nobody", frozenset()), ()),
    ]
    assert [*read_clients(written(entries)).values()] == entries
    assert read_clients("") == {}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[clients", "TOML"),
        ("client = 1", "client"),
        ("clients = 1", "tables"),
        ("[clients.Alice]", "'Alice'"),
        ('[clients."a\\u001fb"]', "name"),
        ("[clients]\na = 1", "client a"),
        ("a = " + "[" * 5000, "deeply"),
        ("a = 1" + "0" * 5000, "TOML"),
        ('"a\\nb" = 1', "unknown field"),
        ('[clients.a]\n"a\\u001b\\nb" = 1', "unknown field"),
        (f"[clients.{'a' * 5000}]", "name"),
        (f"[clients.a]\nrate = {['x' * 5000]}", "rate must be a number"),
        ("[clients.a]\nkeyhash = 'x'", "keyhash"),
        ("[clients.a]\nkey_hash = 'bz_secret'", "key_hash"),
        ("[clients.a]\nkey_hash = 7", "key_hash"),
        (f"[clients.a]\nkey_hash = '{HASH.upper()}'", "key_hash"),
        ("[clients.a]\npermissions = ['admin']", "permissions"),
        ("[clients.a]\npermissions = 'read'", "permissions"),
        ("[clients.a]\nrate = 0", "rate"),
        ("[clients.a]\nrate = true", "rate"),
        ("[clients.a]\nrate = nan", "rate"),
        ("[clients.a]\nrate = inf", "rate"),
        ("[clients.a]\nrate = 0.0001", "rate must be from 0.001"),
        ("[clients.a]\nrate = 1\nburst = 1.5", "burst"),
        ("[clients.a]\nrate = 1\nburst = 0", "at once"),
        ("[clients.a]\nburst = 5", "burst must be given with rate"),
        (f"[clients.a]\nkey_hash = '{HASH}'\n[clients.b]\nkey_hash = '{HASH}'", "same API key"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_a_line_that_names_the_fault(
    text: str, named: str
) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        read_clients(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_api_keys_of_different_chance_differ_and_only_their_hashes_are_written() -> None:
    keys = [api_key(bytes([each]) * API_KEY_BYTES) for each in range(256)]
    assert len({*keys}) == 256
    assert all(key.startswith("bz_") and len(key) == 46 for key in keys)
    text = written([ClientEntry(Client("a", frozenset()), (hash_of(keys[0].encode()),))])
    assert keys[0] not in text
