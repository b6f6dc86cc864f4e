"""Regret of a trajectory, and the ranking that keeps the lowest-regret ones. Pure arithmetic."""
