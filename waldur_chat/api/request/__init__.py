"""What a view reads of a request: authentication, format, limits, parameters, position."""
