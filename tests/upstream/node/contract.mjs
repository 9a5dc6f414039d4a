// SPDX-License-Identifier: Apache-2.0
// The contract, from its .proto files below ./schemas.

import { readdirSync } from 'node:fs';
import protobuf from 'protobufjs';

const root = new protobuf.Root();
root.resolvePath = (_, imported) => imported; // imports are written from the folder above schemas/
root.loadSync(readdirSync('schemas/v1').map((name) => `schemas/v1/${name}`), { keepCase: true });

export const encode = (message, data) => {
  const type = root.lookupType(`singlepool.v1.${message}`);
  return Buffer.from(type.encode(type.fromObject(data)).finish());
};

export const decode = (message, bytes) => {
  const type = root.lookupType(`singlepool.v1.${message}`);
  return type.toObject(type.decode(bytes), { longs: Number, enums: String, defaults: true });
};
