"""The law: contracts that run unchanged on the embedded ledger and on Hyperledger Fabric."""
