"""Fabric's door: the contracts as a chaincode service that one peer connects to.

`stub`, `stream` and `server` are a library of their own that knows no contract; `caller`, `context`
and `host` adapt it to `chaincode.context`; ``python -m chaincode.fabric`` serves.
"""
