"""What an auditor's verdict is made of: the log, run again, compared, and held against what others keep."""
