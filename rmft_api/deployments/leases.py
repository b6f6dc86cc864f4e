"""Leases: who is answerable for a deployment, and since when."""

import re
from hashlib import sha256

from rmft_api.core.records import Record

KIND = "lease"
"""Of the journal's records; their keys are the models."""
_NOT_IN_NAMES = re.compile("[_-]+")


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


def mark_of(run: str, created: int) -> str:
    """A run's own: one of the same name that was started at another time has another."""
    return sha256(f"{run}|{created}".encode()).hexdigest()[:16]


def name_of(run: str, mark: str, model: str) -> str:
    """Short, and no other run's: letters, digits, single dashes, as every provider takes them."""
    own = sha256(f"{mark}|{model}".encode()).hexdigest()[:12]
    return f"rmft-{readable(run)}-{own}"


def readable(run: str) -> str:
    """What such a name says about its run."""
    return _NOT_IN_NAMES.sub("-", run)[:24].strip("-")
