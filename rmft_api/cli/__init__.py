"""The command line: one file per command; alone builds the adapters and prints."""
