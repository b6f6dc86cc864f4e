"""Run files: their schema, how they are read, grids of them, and plain words for mistakes.

Read `schema.py` first: it is every key that a run file may have.
"""
