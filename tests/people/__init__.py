"""A host of another kind: its users have UUIDs for keys, and a router of its sends reading to a replica."""
