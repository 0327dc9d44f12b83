"""What is kept of a request, and how its credentials are found again."""
