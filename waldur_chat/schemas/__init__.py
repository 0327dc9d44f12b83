"""JSON Schemas: of Python's types, of what models write, and as models are told them. Plain Python."""
