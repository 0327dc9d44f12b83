"""What readers, pages and models see of calls of tools."""
