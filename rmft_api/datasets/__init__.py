"""Selected trajectories become training files: examples, preference pairs, token counts."""
