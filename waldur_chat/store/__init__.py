"""Database operations: one synchronous function per operation, one transaction each. No engine, no HTTP."""
