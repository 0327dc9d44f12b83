"""The LLM chat API for Django and Waldur. Importing the package does nothing."""

__version__ = "0.1.0"
