"""Turns in the database: begin, leases, partial output, finish, replay."""
