"""The read index behind `tally log`, `tally show` and the dashboard: quick, rebuilt at will, trusted by nobody.

What is verified is verified from blocks (`tallystick.evidence`), never from here.
"""
