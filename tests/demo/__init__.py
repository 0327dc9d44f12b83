"""What the demo has besides the chat: a small catalogue of projects and virtual machines, whose views are tools."""
