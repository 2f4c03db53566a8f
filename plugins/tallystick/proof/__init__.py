"""Bytes in, verdict out: what an auditor's verifier is made of.

Imports the standard library, `cryptography` and itself, nothing else: the linter keeps it so. Nothing here
opens a file, looks at a clock or knows a ledger. Trust is an argument, never part of what is verified.

errors               what a proof can be wrong with
merkle               RFC 6962 trees: leaves, heads, inclusion, consistency, and the stored layout
note, checkpoint     signed texts (C2SP signed-note) and the heads they carry (C2SP tlog-checkpoint)
text                 strict numbers, base64 and lines
trust                whose signatures count (C2SP tlog-policy)
tlog_proof           one leaf is under a signed head (C2SP tlog-proof)
consistency_proof    a later signed head extends an earlier one
sorted_tree          sets whose presence and absence can be proven; sorted_proof has the files
block                blocks of a ledger, read strictly
leaves               the leaves of the log: of a block, of a transaction, of a record
protobuf             the wire format of protocol buffers
fabric               blocks of a Hyperledger Fabric channel, judged offline
membership           who a signer is: certificates, roles, revocation, signatures
"""
