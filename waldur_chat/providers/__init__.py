"""Providers, one module each: they send prompts to model services. They import `base`, and not each other."""
