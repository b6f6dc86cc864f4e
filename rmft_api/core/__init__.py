"""What every other room may use: records, ports, errors, seeds, files. It imports no other room."""
