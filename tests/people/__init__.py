"""A host of another kind: its users have UUIDs for keys, and it reads from a replica what its router lets it read."""
