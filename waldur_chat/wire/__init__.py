"""What goes over a wire, as pure functions of events and bytes: no Django, no sockets.

`encoders` names the formats that a client may be answered in; `sse_decoder` reads what providers send.
"""
