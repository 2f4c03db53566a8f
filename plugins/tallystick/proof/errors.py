"""What a proof can be wrong with.

ProofError                   a ValueError
├── Malformed                not what the format says, or an index out of range: nothing was judged
└── NotProven                well formed and judged: it does not show what it claims to
    └── NotTrusted           whoever you trust did not sign it (or too few of them did)

Messages name the format, the line and the rule, never a data value.
"""

from __future__ import annotations


class ProofError(ValueError):
    """The root of this room's errors."""


class Malformed(ProofError):
    """The bytes do not follow the format, or an index lies outside the tree it is asked of."""


class NotProven(ProofError):
    """The proof does not lead to the claimed root, or a signature by a known key is wrong."""


class NotTrusted(NotProven):
    """No signature, or too few, by the keys that the caller trusts."""
