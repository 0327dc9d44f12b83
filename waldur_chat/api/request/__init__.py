"""What is read of a request before a view runs."""
