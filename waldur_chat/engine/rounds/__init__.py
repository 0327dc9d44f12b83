"""The rounds of a turn: a model is asked, the tools that it calls are run, and it is asked again with their results."""
