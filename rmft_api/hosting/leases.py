"""Leases: who is answerable for a deployment, and since when."""

from rmft_api.records import Record

KIND = "lease"
"""Of the journal's records; their keys are the models."""


class Lease(Record, frozen=True):
    """One stay of one model."""

    number: int
    """From 1; a model may be deployed again later."""
    name: str
    since: int
    """UTC milliseconds: when rent began to count."""
    until: int | None = None
    """When it was taken down; None: it may be standing."""


class Removed(Record, frozen=True):
    """That the provider has accepted a removal."""

    name: str
    at: int
    """UTC milliseconds."""


def deploy_key(lease: Lease) -> str:
    """Under which the journal knows the deployment, and its first hour."""
    return f"deploy/{lease.name}/{lease.number}"
