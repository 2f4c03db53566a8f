// What the official Gateway client for Node does with our contracts: reads, writes, hears events, is refused.
// Told where and as whom by the JSON file that is its argument; answers in JSON.
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import { connect, hash, signers } from '@hyperledger/fabric-gateway';

const told = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const text = (bytes) => Buffer.from(bytes).toString('utf8');
const deadline = () => ({ deadline: Date.now() + 20_000 });
const credentials = grpc.credentials.createSsl(
    readFileSync(told.tlsRoots),
    readFileSync(told.clientKey),
    readFileSync(told.clientCertificate),
);
const client = new grpc.Client(told.address, credentials);
const gateway = connect({
    client,
    identity: { mspId: told.mspId, credentials: readFileSync(told.certificate) },
    signer: signers.newPrivateKeySigner(createPrivateKey(readFileSync(told.key))),
    hash: hash.sha256,
    evaluateOptions: deadline,
    endorseOptions: deadline,
    submitOptions: deadline,
    commitStatusOptions: deadline,
    chaincodeEventsOptions: deadline,
});

/** What an error of the client's tells. */
function failure(error) {
    const { name, message, transactionId, code, details } = error;
    return { name, message, transactionId, code, details };
}

async function refused(work) {
    try {
        await work();
    } catch (error) {
        return failure(error);
    }
    throw new Error('this was not refused');
}

try {
    const network = gateway.getNetwork(told.channel);
    const contract = network.getContract(told.chaincode);
    const answers = {};
    answers.charter = text(await contract.evaluateTransaction('charter:read', '{}'));

    const commit = await contract.submitAsync('provenance:register_dataset', { arguments: [told.request] });
    const status = await commit.getStatus();
    answers.committed = {
        result: text(commit.getResult()),
        transactionId: commit.getTransactionId(),
        block: Number(status.blockNumber),
        successful: status.successful,
    };

    const events = await network.getChaincodeEvents(told.chaincode, { startBlock: status.blockNumber });
    try {
        for await (const event of events) {
            if (event.transactionId === answers.committed.transactionId) {
                answers.event = { name: event.eventName, payload: text(event.payload), block: Number(event.blockNumber) };
                break;
            }
        }
    } finally {
        events.close();
    }

    answers.refusedByContract = await refused(() => contract.submitTransaction('charter:adopt', told.charter));
    answers.refusedAsQuery = await refused(() => contract.evaluateTransaction('charter:adopt', told.charter));
    answers.refusedByPeers = await refused(() =>
        contract.submit('provenance:register_dataset', {
            arguments: [told.another],
            endorsingOrganizations: [told.mspId],
        }),
    );
    process.stdout.write(JSON.stringify(answers));
} finally {
    gateway.close();
    client.close();
}
