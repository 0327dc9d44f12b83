"""How providers reach their services over HTTP: one protocol, and two implementations of it.

`aiohttp_transport` asks a plain address with aiohttp, where that is installed; `sdk` asks everything else with what the
openai SDK brings. `choice` says which of them is taken. Readers of what comes back own no socket and live elsewhere.
"""
