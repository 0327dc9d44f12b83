"""What a token, a stream and a request cost this server, beside what people would use instead.

`python -m tests.benchmarks.speed WHAT`; see `__main__`.
"""
