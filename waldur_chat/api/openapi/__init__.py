"""Descriptions of the API for the OpenAPI document."""
