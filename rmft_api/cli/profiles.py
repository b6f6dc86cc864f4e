"""`rmft-api profiles`: the endpoints that a run file may name."""


def profiles() -> None:
    """List the endpoints (profiles) and what they need."""
    from rmft_api.providers.profiles import load_all

    for profile in load_all().values():
        key = f"key in {profile.api_key_env}" if profile.api_key_env else "no key"
        trains = ", ".join(profile.training.methods) if profile.training else "no training"
        print(f"{profile.name:18} {profile.base_url:52} {trains:18} {key}")  # noqa: T201
