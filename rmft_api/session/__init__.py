"""Around the loop: prepare a run or a comparison, check, connect, run to the end, resume.

The command line only parses and prints; every decision is made here, and can be made from Python.
"""
