"""How well models play: measures of a play, scores of a model, outcome of a run, comparisons."""
