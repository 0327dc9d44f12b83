"""A host whose views are hard to call but by a request: what tools of views are compared on."""
