"""The read index behind `tally log`, `tally show` and the dashboard: quick, trusted by nobody.

What is verified is verified from blocks (`tallystick.evidence`), never from here.
"""
