"""The site's context of a turn: asked for, framed, and added to the prompt before a model gets it."""
