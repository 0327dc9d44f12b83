"""Find tools by words, for models of users who have too many to be offered at once."""
