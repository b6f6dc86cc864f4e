"""What a call costs: our whole tool beside the bare wire and other clients, in one run."""
