"""Scenarios that run beside the tests, each with another release of the published Python client on its path."""
