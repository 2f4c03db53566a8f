"""A channel of Hyperledger Fabric as a ledger: written by the Gateway, read from a log that is judged here.

Nothing a peer says of its blocks is believed: they are judged one by one (`tallystick.proof.fabric`) before
any of them is in the log. What that gives is kept in a file that may be thrown away and made again.

ledger    `tallystick.ledger.port.Ledger` over a channel
log       follows the channel's blocks, and reads what came of them
derived   the file: its tables, and a state that the judgement goes on from
stored    the channel's blocks as they are, for whoever verifies them
rebuild   makes the file again, and compares
logged    what judged blocks say, in the port's terms
failures  what the Gateway's errors are called here
"""
