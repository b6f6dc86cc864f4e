"""Nobody waits for another provider's library."""

import subprocess
import sys

import pytest

from rmft_api.providers import profiles

VENDORS = {
    "openai",
    "google",
    "google.auth",
    "google.genai",
    "vertexai",
    "azure",
    "boto3",
    "botocore",
    "together",
    "fireworks",
    "mistralai",
    "anthropic",
    "litellm",
    "tinker",
    "httpx2",
    "torch",
    "transformers",
}
ENVIRON = {
    "OPENAI_API_KEY": "sk-0123456789abcdef",
    "NEBIUS_API_KEY": "nebius-0123456789",
    "AZURE_OPENAI_BASE_URL": "https://lab.openai.azure.com/openai/v1",
    "AZURE_OPENAI_API_KEY": "azure-0123456789",
    "AZURE_OPENAI_RESOURCE_ID": "/subscriptions/0/resourceGroups/g/providers/P/accounts/lab",
    "AZURE_MANAGEMENT_TOKEN": "token-0123456789",
    "GOOGLE_CLOUD_PROJECT": "lab",
    "GOOGLE_CLOUD_LOCATION": "us-central1",
    "RMFT_GEMINI_BUCKET": "gs://lab/rmft",
    "GOOGLE_OAUTH_ACCESS_TOKEN": "token-0123456789",
    "AWS_REGION": "us-east-1",
    "AWS_BEARER_TOKEN_BEDROCK": "bedrock-0123456789",
    "AWS_ACCESS_KEY_ID": "AKIA0123456789",
    "AWS_SECRET_ACCESS_KEY": "secret-0123456789",
    "RMFT_BEDROCK_BUCKET": "s3://lab/rmft",
    "RMFT_BEDROCK_ROLE_ARN": "arn:aws:iam::123456789012:role/tuning",
    "TOGETHER_API_KEY": "together-0123456789",
    "PORTKEY_API_KEY": "portkey-0123456789",
    "TRUEFOUNDRY_API_KEY": "truefoundry-0123456789",
    "FIREWORKS_API_KEY": "fw-0123456789",
    "FIREWORKS_ACCOUNT_ID": "lab",
    "TINKER_API_KEY": "tml-0123456789",
}
PROGRAM = """\
import sys
from rmft_api.providers import connect, load
connection = connect(load({name!r}), environ={environ!r})
connection.chat, connection.host, {trains}
adapters = (
    "azure_deployments",
    "bedrock",
    "chat",
    "fireworks",
    "gemini",
    "nebius_models",
    "openai_wire",
    "tinker",
    "together",
)
print(*sorted(set(sys.modules) & {vendors!r}))
print(*[one for one in adapters if "rmft_api.providers." + one in sys.modules])
"""


def loaded(name: str, trains: str) -> tuple[set[str], set[str]]:
    """The vendors' packages, and our adapters, that a connection loads."""
    program = PROGRAM.format(name=name, environ=ENVIRON, trains=trains, vendors=VENDORS)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    vendors, adapters = ended.stdout.split("\n")[:2]
    return set(vendors.split()), set(adapters.split())


@pytest.mark.parametrize(
    ("name", "vendors", "adapters"),
    [
        ("local", {"openai", "httpx2"}, {"chat", "openai_wire"}),
        ("openai", {"openai", "httpx2"}, {"chat", "openai_wire"}),
        ("azure", {"openai", "httpx2"}, {"chat", "openai_wire", "azure_deployments"}),
        ("nebius", {"openai", "httpx2"}, {"chat", "openai_wire", "nebius_models"}),
        ("gemini", set[str](), {"gemini"}),
        ("bedrock", {"botocore"}, {"bedrock"}),
        ("together", set[str](), {"chat", "together"}),
        ("fireworks", set[str](), {"chat", "fireworks"}),
        ("tinker", set[str](), {"chat", "tinker"}),
        ("portkey", {"openai", "httpx2"}, {"chat", "openai_wire"}),
        ("openai-compatible", {"openai", "httpx2"}, {"chat", "openai_wire"}),
    ],
)
def test_a_provider_loads_its_own_adapters_alone(
    name: str, vendors: set[str], adapters: set[str]
) -> None:
    assert loaded(name, "connection.tuner") == (vendors, adapters)


@pytest.mark.parametrize("name", list(profiles.load_all()))
def test_playing_alone_needs_no_vendors_package(name: str) -> None:
    vendors, _ = loaded(name, "None")
    assert vendors == set()
