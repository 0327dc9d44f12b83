"""Providers: what answers a prompt. One module each; they know `base`, not each other."""
