"""A host project, shaped like a Waldur: it is the demo, and what the tests run against."""
