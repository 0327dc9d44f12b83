"""How the offline provider calls tools without a model: by the words of the question, and what it says of results."""
