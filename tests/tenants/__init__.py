"""A host with a PostgreSQL schema for each of its tenants (django-tenants): the name of a host's address chooses it."""
