"""What things are called: by us, and in Amazon's ARNs and addresses.

A custom model's id begins with its base (`amazon.nova-micro-v1:0:arn:aws:bedrock:…`), so that
price and calendar are found by it as for any other provider.
"""

import re
from collections.abc import Mapping

from rmft_api.core.errors import ConfigError
from rmft_api.providers.profiles import Profile

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
_PUBLIC = re.compile(r"(https://[a-z0-9-]+)\.[a-z0-9-]+\.amazonaws\.com")
_MARK = ":arn:"
_CONTEXT = re.compile(r":[0-9]+k$")
"""`amazon.nova-micro-v1:0:128k` is trained, and `amazon.nova-micro-v1:0` answers."""


def region(profile: Profile, environ: Mapping[str, str]) -> str:
    """The region of everything. Raises ConfigError."""
    setting = profile.setting("region", environ)
    if not _REGION.fullmatch(setting):
        variable = profile.setting_envs["region"]
        raise ConfigError(f"{variable}={setting!r} is not an AWS region, such as us-east-1")
    known = profile.hosting.regions
    if known and setting not in known:
        raise ConfigError(
            f"{profile.setting_envs['region']}={setting!r}: fine-tunes are trained and deployed in "
            f"{' and '.join(known)} alone; if that has changed, set hosting.regions in a profile "
            "of yours"
        )
    return setting


def address(base_url: str, here: str) -> str:
    """Amazon's own addresses have the region in them; any other is taken as it stands."""
    base_url = base_url.rstrip("/")
    return _PUBLIC.sub(rf"\1.{here}.amazonaws.com", base_url, count=1)


def tuned(base: str, arn: str) -> str:
    """Our id of a custom model."""
    return f"{base}:{arn}"


def split(model: str) -> tuple[str, str]:
    """Base and ARN of a model; the ARN of a base is empty."""
    base, mark, rest = model.partition(_MARK)
    return base, f"arn:{rest}" if mark else ""


def base_in(arn: str) -> str:
    """The base that the ARN of a job, of a foundation model or of a custom model names.

    Empty where it names none.
    """
    parts = arn.split("/")
    return _CONTEXT.sub("", parts[1]) if len(parts) > 1 and "." in parts[1] else ""
