"""Which proxy and which certificates the environment names, whoever asks."""

import ast
import ssl
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from rmft_api.core.errors import ConfigError
from rmft_api.providers.network import Network, is_loopback

PROXY = "http://proxy.test:3128"
API = "https://api.test/v1"


def way(url: str = API, **environ: str) -> str:
    """The proxy's address; empty where the way is straight."""
    proxy = Network(environ).route(url).proxy
    return proxy.url if proxy else ""


@pytest.mark.parametrize(
    ("environ", "url", "expected"),
    [
        ({}, API, ""),
        ({"HTTPS_PROXY": PROXY}, API, PROXY),
        ({"https_proxy": PROXY}, API, PROXY),
        ({"HTTP_PROXY": PROXY}, API, ""),
        ({"HTTP_PROXY": PROXY}, "http://api.test/v1", PROXY),
        ({"http_proxy": PROXY}, "http://api.test/v1", PROXY),
        ({"ALL_PROXY": PROXY}, API, PROXY),
        ({"all_proxy": PROXY}, "http://api.test/v1", PROXY),
        ({"HTTPS_PROXY": PROXY, "ALL_PROXY": "http://other.test:1"}, API, PROXY),
        ({"HTTPS_PROXY": "http://other.test:1", "https_proxy": PROXY}, API, PROXY),
        ({"HTTPS_PROXY": PROXY, "https_proxy": ""}, API, ""),
        ({"HTTPS_PROXY": "proxy.test:3128"}, API, PROXY),
        ({"HTTPS_PROXY": " http://proxy.test "}, API, "http://proxy.test"),
        ({"HTTPS_PROXY": "https://proxy.test:8443/"}, API, "https://proxy.test:8443"),
        ({"HTTPS_PROXY": "http://[::1]:3128"}, API, "http://[::1]:3128"),
    ],
)
def test_the_proxy_is_the_one_that_the_environment_names(
    environ: dict[str, str], url: str, expected: str
) -> None:
    assert way(url, **environ) == expected


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST", "localhost.", "me.localhost", "127.0.0.1", "127.8.9.10"),
        *("[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"),
    ],
)
def test_this_machine_is_never_asked_through_a_proxy(host: str) -> None:
    assert is_loopback(host)
    assert way(f"https://{host}:8000/v1", HTTPS_PROXY=PROXY) == ""
    assert way(f"http://{host}:8000/v1", ALL_PROXY="socks5://proxy.test:1") == ""


@pytest.mark.parametrize(
    ("listed", "url", "is_direct"),
    [
        ("*", API, True),
        ("other.test, api.test", API, True),
        ("other.test api.test", API, True),
        ("API.Test.", API, True),
        ("test", API, True),
        (".test", API, True),
        ("*.test", API, True),
        (".api.test", API, True),
        ("pi.test", API, False),
        ("api.tes", API, False),
        ("deep.api.test", API, False),
        ("", API, False),
        (",,", API, False),
        ("api.test:443", API, True),
        ("api.test:8443", API, False),
        ("api.test:8443", "https://api.test:8443/v1", True),
        ("https://api.test", API, True),
        ("10.0.0.0/8", "https://10.1.2.3/v1", True),
        ("10.0.0.0/8", "https://11.1.2.3/v1", False),
        ("10.1.2.3", "https://10.1.2.3/v1", True),
        ("10.1.2.3:443", "https://10.1.2.3/v1", True),
        ("10.1.2.3/99", "https://10.1.2.3/v1", False),
        ("fd00::/8", "https://[fd00::1]/v1", True),
        ("fd00::1", "https://[fd00::1]/v1", True),
        ("[fd00::1]:443", "https://[fd00::1]/v1", True),
        ("[fd00::1]:8443", "https://[fd00::1]/v1", False),
        ("10.0.0.0/8", API, False),
        (".3", "https://10.1.2.3/v1", False),
    ],
)
def test_no_proxy_names_domains_addresses_networks_and_ports(
    listed: str, url: str, is_direct: bool
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        assert way(url, HTTPS_PROXY=PROXY, **{name: listed}) == ("" if is_direct else PROXY)


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_is_set_gives_a_way_or_one_line_without_the_password(
    listed: str, named: str
) -> None:
    environ = {"NO_PROXY": listed, "HTTPS_PROXY": f"http://me:pass-canary-word@{named}"}
    try:
        route = Network(environ).route(API)
    except ConfigError as error:
        assert "pass-canary-word" not in str(error)
        assert "HTTPS_PROXY" in str(error)
    else:
        assert "pass-canary-word" not in f"{route.proxy} {route.proxy!r}"


@pytest.mark.parametrize(
    "value", ["socks5://me:hidden@p.test:1080", "socks5h://p.test:1", "ftp://p"]
)
def test_a_proxy_of_another_kind_is_refused_with_those_that_are_supported(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        way(ALL_PROXY=value)
    line = str(caught.value)
    assert "ALL_PROXY" in line
    assert "http:// and https:// proxies are supported: set HTTPS_PROXY" in line
    assert "hidden" not in line
    assert way(ALL_PROXY=value, HTTPS_PROXY=PROXY) == PROXY  # as advised
    assert way(ALL_PROXY=value, NO_PROXY="api.test") == ""  # as advised


@pytest.mark.parametrize(
    "value", ["http://", "http://proxy.test:none", "http://me:hid/den@proxy.test:1", "http://a b"]
)
def test_what_is_no_proxy_is_refused_without_its_password(value: str) -> None:
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
        way(HTTPS_PROXY=value)
    assert "den" not in str(caught.value)


def test_credentials_are_decoded_for_the_proxy_and_never_shown() -> None:
    named = "http://me%40work:p%C3%A4ss%3Aword@proxy.test:3128"
    proxy = Network({"HTTPS_PROXY": named}).route(API).proxy
    assert proxy is not None
    assert proxy.authorization == "Basic bWVAd29yazpww6Rzczp3b3Jk"
    assert f"{proxy} {proxy!r} {proxy.url}".count("***@") == 1
    for part in ("me%40work", "me@work", "p%C3%A4ss", "päss", "bWVA"):
        assert part not in f"{proxy} {proxy!r} {proxy.url}"


def test_certificates_are_those_that_the_environment_names(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    context = Network({"SSL_CERT_FILE": str(file)}).route(API).tls
    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert Network({"SSL_CERT_FILE": str(file)}).route(API).tls is context


def test_the_systems_own_certificates_are_believed_where_none_are_named() -> None:
    context = Network({}).route(API).tls
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize(
    "content", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\n"]
)
def test_certificates_that_are_not_there_are_told_before_anything_is_sent(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match="SSL_CERT_FILE") as caught:
        Network({"SSL_CERT_FILE": str(file)}).route(API)
    assert str(file) in str(caught.value)
    assert caught.value.exit_code == 78
    Network({"SSL_CERT_FILE": str(file)}).route("http://127.0.0.1:8000/v1")  # needs none


def test_a_directory_without_certificates_is_refused_and_a_file_beside_it_is_enough(
    tmp_path: Path,
) -> None:
    (tmp_path / "ca.pem").write_text("not under its hash")
    with pytest.raises(ConfigError, match="openssl rehash"):
        Network({"SSL_CERT_DIR": str(tmp_path)}).route(API)
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    both = {"SSL_CERT_DIR": str(tmp_path), "SSL_CERT_FILE": str(tmp_path / "ca.pem")}
    assert Network(both).route(API).tls.get_ca_certs()


OPENS = {
    "ClientSession",
    "TCPConnector",
    "AsyncClient",
    "Client",
    "AsyncHTTPTransport",
    "HTTPTransport",
    "SSLContext",
    "create_default_context",
    "urlopen",
    "HTTPSConnection",
}
"""What opens connections, or decides whom they believe."""


def test_only_the_network_makes_clients_and_decides_whom_they_believe() -> None:
    package = Path(__file__).parents[2] / "rmft_api"
    found = {
        f"{file.relative_to(package)}: {name}"
        for file in package.rglob("*.py")
        if file.name != "network.py" or file.parent.name != "providers"
        for name in _called(file)
        if name in OPENS
    }
    assert found == set()


def _called(file: Path) -> list[str]:
    names = [one.func for one in ast.walk(ast.parse(file.read_text())) if isinstance(one, ast.Call)]
    return [
        one.attr if isinstance(one, ast.Attribute) else one.id
        for one in names
        if isinstance(one, ast.Attribute | ast.Name)
    ]
