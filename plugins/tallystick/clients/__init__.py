"""One typed door per contract. A client turns arguments into requests and holds no rules."""
