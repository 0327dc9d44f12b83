"""The tools of a turn: which its model is offered, and how their calls are run and stored."""
