"""Models that answer only while they are deployed, and what they cost by the hour."""

from rmft_api.hosting.hosting import Hosting
from rmft_api.hosting.leases import Lease
from rmft_api.hosting.pace import HostedPace
from rmft_api.hosting.rent import Rent

__all__ = ["HostedPace", "Hosting", "Lease", "Rent"]
