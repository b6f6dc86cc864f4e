"""Whatever logs, and whoever handles it: no key."""

import io
import logging
from collections.abc import Iterator

import pytest

from rmft_api.cli.redaction import hide_keys

KEY = "a-key-of-no-known-shape"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    before, stream = logging.getLogRecordFactory(), io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger("library").addHandler(handler)
    proxies = {"HTTPS_PROXY": "http://me:pass%2Dcanary@proxy.test:3128"}
    hide_keys({"SOME_API_KEY": KEY, "SHORT_KEY": "ab", "HOME": "/home/somebody", **proxies})
    yield stream
    logging.getLogger("library").removeHandler(handler)
    logging.setLogRecordFactory(before)


def test_a_key_of_the_environment_is_hidden_in_every_message(log: io.StringIO) -> None:
    logging.getLogger("library").warning("asked with %s in /home/somebody, ab", {"auth": KEY})
    assert log.getvalue() == "asked with {'auth': '***'} in /home/somebody, ab\n"


@pytest.mark.parametrize("secret", ["sk-proj-1234567890abcdef", "Bearer eyJhbGciOi.abc"])
def test_what_looks_like_a_key_is_hidden_whoever_set_it(log: io.StringIO, secret: str) -> None:
    logging.getLogger("library").warning("headers: Authorization=%s", secret)
    assert secret not in log.getvalue()
    assert "***" in log.getvalue()


@pytest.mark.parametrize(
    "said",
    [
        "http://me:other-canary@proxy.test:3128 is down",
        "Proxy-Authorization: Basic bWU6cGFzcy1jYW5hcnk=",
        "(b'proxy', b'bWU6cGFzcy1jYW5hcnk=')",
        "password pass-canary",
        "password pass%2Dcanary",
    ],
)
def test_the_credentials_of_a_proxy_are_hidden(log: io.StringIO, said: str) -> None:
    logging.getLogger("library").warning("%s", said)
    assert "***" in log.getvalue()
    assert not any(one in log.getvalue() for one in ("canary", "bWU6"))


def test_a_key_in_an_exception_is_hidden_too(log: io.StringIO) -> None:
    try:
        raise ValueError(f"no such key: {KEY}")
    except ValueError:
        logging.getLogger("library").exception("it failed")
    assert "ValueError: no such key: ***" in log.getvalue()
