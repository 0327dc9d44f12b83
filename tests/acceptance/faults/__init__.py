"""The table of faults: what can break, what the client must get, and how that is measured on real processes."""
