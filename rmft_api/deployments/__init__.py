"""Models that answer only while they are deployed, and what they cost by the hour."""

from rmft_api.deployments.hourly_cost import HourlyCost
from rmft_api.deployments.leases import Lease, readable
from rmft_api.deployments.manager import Deployments
from rmft_api.deployments.pace import DeploymentPace

__all__ = ["DeploymentPace", "Deployments", "HourlyCost", "Lease", "readable"]
