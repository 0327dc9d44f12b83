"""What the OpenAPI document says."""
