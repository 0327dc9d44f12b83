"""A fake model service: a real server that speaks the protocols, their dialects and their faults."""
