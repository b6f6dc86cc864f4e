"""What every adapter of a port must pass: inherit a class, override its fixtures."""
