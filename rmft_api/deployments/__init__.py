"""Models that answer only while they are deployed, and what they cost by the hour."""

from rmft_api.deployments.hourly_cost import Rent
from rmft_api.deployments.leases import Lease
from rmft_api.deployments.manager import Hosting
from rmft_api.deployments.pace import HostedPace

__all__ = ["HostedPace", "Hosting", "Lease", "Rent"]
