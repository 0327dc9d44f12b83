"""What only the host's own code may ask for."""
