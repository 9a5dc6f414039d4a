// SPDX-License-Identifier: Apache-2.0
// Prints what AsyncAPI's own parser makes of documents, one JSON object a line: its diagnostics,
// and the messages that it found on each channel with the fields of their payloads.
//
//     node check.mjs asyncapi.json...

import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';
import { ProtoBuffSchemaParser } from '@asyncapi/protobuf-schema-parser';

const fields = (message) => Object.keys(message.payload().properties() ?? {});
const messages = (channel) =>
  Object.fromEntries(channel.messages().all().map((message) => [message.name(), fields(message)]));

const parser = new Parser();
parser.registerSchemaParser(ProtoBuffSchemaParser());

for (const file of process.argv.slice(2)) {
  const { document, diagnostics } = await parser.parse(readFileSync(file, 'utf8'));
  const channels = document?.channels().all() ?? [];
  console.log(JSON.stringify({
    diagnostics: diagnostics.map(({ severity, code, path, message }) =>
      ({ severity, code, path: path.join('/'), message })),
    channels: Object.fromEntries(channels.map((channel) => [channel.address(), messages(channel)])),
  }));
}
