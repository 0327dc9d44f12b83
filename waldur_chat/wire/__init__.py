"""Wire formats in plain Python: functions of events and bytes, without Django and without I/O.

`encoders` lists the formats of streams; `sse_decoder` parses the streams of providers.
"""
