"""Blocks of a Hyperledger Fabric channel judged offline: bytes in, verdict out.

Only the genesis block is trusted (its digest is in the log's origin). Of a peer's own word, the flags of
each transaction's validity, nothing is believed: they are computed again, and a difference is named.

blocks           a block and its envelopes, strictly; header hash and data hash
identities       an organisation's members: chain, revocation, node types, signatures
certificates     with extensions, keys, chains and revocation: each as Go's crypto/x509 and Fabric's MSP take
                 it; pem and der read what they are in
policies         who must have signed: signature and implicit meta policies
configuration    the channel's configuration; updates says whether one may follow another
signatures       the orderers' signatures of a block
endorsements     a transaction: proposal, what came of it, who endorsed it
rwset            what it read and wrote
writes           what its writes come to, key by key
state            what has been written: versions, definitions of chaincodes, transaction ids
validity         the validation code of each transaction of a block, as a peer must find it
proposer         whom a call of our contracts was endorsed for
judged           what is known of a block in the end, in no format of Fabric's
leaves           the leaves of the log over these blocks
channel          all of it, block by block
"""
