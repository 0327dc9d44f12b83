"""Several processes of the host project behind nginx on one database, and readers who come back."""
