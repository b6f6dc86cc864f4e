"""A model plays scenarios, round by round.

preparation (which scenarios) -> engine (plays many at once) -> splits (saves each play)
"""
