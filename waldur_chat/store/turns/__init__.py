"""Rows of turns: begin, lease, finish, replay."""
