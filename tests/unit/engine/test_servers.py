"""Which servers a URL names."""

import pytest

from twisted_bazaar.engine.servers import Servers
from twisted_bazaar.errors import Unusable


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:geheim/x@127.0.0.1:1/d",
        "postgresql://u:x@geheim@127.0.0.1:1/d",
        "postgresql://127.0.0.1:1,127.0.0.1:2,127.0.0.1:3/d?password=geheim&hostaddr=geheim,geheim",
        "postgresql://127.0.0.1/d?port=geheim",
        "postgresql://127.0.0.1:65536/d?password=geheim",
    ],
)
def test_a_url_that_names_no_servers_is_refused_without_what_may_be_a_password(url: str) -> None:
    with pytest.raises(Unusable, match="^the engine: ") as raised:
        Servers(url)
    assert "geheim" not in str(raised.value)
