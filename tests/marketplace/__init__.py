"""A stand-in of a Waldur host: views of its names, with its filters, its `field`, and its pages. No code is its own."""
