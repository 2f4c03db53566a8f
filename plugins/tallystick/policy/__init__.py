"""Reads, checks and digests the dataset policies of policies/. Format: docs/formats/dataset-policy.md."""

from tallystick.policy.columns import check_columns
from tallystick.policy.draft import new_policy
from tallystick.policy.load import load_policy
from tallystick.policy.models import IDENTIFIER_CLASSES, Column, DatasetPolicy, Rule

__all__ = [
    "IDENTIFIER_CLASSES",
    "Column",
    "DatasetPolicy",
    "Rule",
    "check_columns",
    "load_policy",
    "new_policy",
]
