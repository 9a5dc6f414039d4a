// SPDX-License-Identifier: Apache-2.0
// Prints each verdict on a job, one a line, until it no longer waits.
//
//     node verdict.mjs BROKER JOB [PREFIX]

import { randomUUID } from 'node:crypto';
import { Consumer, FetchIsolationLevels, stringDeserializer } from '@platformatic/kafka';
import { decode } from './contract.mjs';

const [broker, job, prefix = ''] = process.argv.slice(2);

const consumer = new Consumer({
  groupId: `${prefix}upstream.main.${randomUUID()}`, // of its own: all verdicts
  clientId: 'first-upstream',
  bootstrapBrokers: [broker],
  deserializers: {
    key: stringDeserializer,
    value: (bytes) => bytes,
    headerKey: stringDeserializer,
    headerValue: stringDeserializer,
  },
});
const verdicts = await consumer.consume({
  topics: [`${prefix}verdicts`],
  mode: 'earliest',
  isolationLevel: FetchIsolationLevels.READ_COMMITTED, // what was aborted was never said
  autocommit: false,
});

for await (const { key, value } of verdicts) {
  if (key !== job) continue;
  const verdict = value ? decode('VerdictReached', value) : { job, reason: 'over' };
  console.log(JSON.stringify(verdict));
  if (!verdict.reason.startsWith('waiting')) break;
}
await consumer.close(true);
