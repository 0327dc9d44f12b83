"""Views of the host as tools: the real view, called in process, the way a request goes."""
