"""HTTP transports of providers: one protocol with two implementations.

`aiohttp_transport` sends requests to plain addresses, if aiohttp is installed; `sdk` sends all others with the client
of the openai SDK. `choice` decides between them. The parsers of responses do no I/O and are not in this folder.
"""
