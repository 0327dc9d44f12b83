"""What services of one protocol say in different ways, and what it means. Plain functions of values; no I/O.

`texts` finds text and thoughts, `leading_thoughts` separates thoughts that are written into the text, `ends` knows the
words for an end, `refusals` those of errors.
"""
