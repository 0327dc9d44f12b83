"""The plain parts of tools."""
