"""Tools: declared, checked, and executed as the user."""
