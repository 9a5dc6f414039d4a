// SPDX-License-Identifier: Apache-2.0
// Publishes a first fleet of one node, a team, and a job.
//
//     node publish.mjs BROKER [PREFIX]

import { randomUUID } from 'node:crypto';
import { Producer, stringSerializer } from '@platformatic/kafka';
import { encode } from './contract.mjs';

const [broker, prefix = ''] = process.argv.slice(2);

// family, key, ce_type, message and its content
const events = [
  ['fleet.events', 'a100', 'singlepool.fleet.sku.declared.v1', 'SkuDeclared', {
    sku: {
      name: 'a100', generation: 1, kind: 'SKU_KIND_GPU', vendor: 'nvidia', memory_mib: 81920,
    },
  }],
  ['fleet.events', 'north', 'singlepool.fleet.region.declared.v1', 'RegionDeclared', {
    region: { name: 'north', generation: 1 },
  }],
  ['fleet.events', 'north-1', 'singlepool.fleet.cluster.declared.v1', 'ClusterDeclared', {
    cluster: { name: 'north-1', generation: 1, region: 'north', interconnect_mbps: 5000 },
  }],
  ['fleet.events', 'north-1.rack-1', 'singlepool.fleet.domain.declared.v1', 'DomainDeclared', {
    domain: { name: 'north-1.rack-1', generation: 1, cluster: 'north-1' },
  }],
  ['fleet.events', 'north-1.n-1', 'singlepool.fleet.node.declared.v1', 'NodeDeclared', {
    node: {
      name: 'north-1.n-1', generation: 1, domain: 'north-1.rack-1', sku: 'a100', devices: 8,
      cpu_milli: 96000, memory_mib: 1048576, storage_mbps: 4000, network_mbps: 25000,
      io: 'IO_PROFILE_HOST',
    },
  }],
  ['tenant.events', 'acme', 'singlepool.tenant.tenant.declared.v1', 'TenantDeclared', {
    tenant: { name: 'acme', generation: 1, share_weight: 1 },
  }],
  ['tenant.events', 'acme', 'singlepool.tenant.team.declared.v1', 'TeamDeclared', {
    team: { tenant: 'acme', name: 'research', generation: 1, share_weight: 1 },
  }],
  ['job.events', 'acme/first@1', 'singlepool.job.submitted.v1', 'JobSubmitted', {
    job: {
      tenant: 'acme', name: 'first', generation: 1, team: 'research', tier: 'TIER_STANDARD',
      workers_min: 1, workers_max: 1,
      worker: { devices: 4, device_milli: 1000, cpu_milli: 16000, memory_mib: 65536 },
      constraints: { span: 'SPAN_CLUSTER' },
    },
  }],
];

const producer = new Producer({
  clientId: 'first-upstream',
  bootstrapBrokers: [broker],
  serializers: {
    key: stringSerializer,
    value: (bytes) => bytes,
    headerKey: stringSerializer,
    headerValue: stringSerializer,
  },
});

await producer.send({
  acks: -1, // all replicas in sync
  messages: events.map(([family, key, type, message, data]) => ({
    topic: `${prefix}${family}.main`,
    key,
    value: encode(message, data),
    headers: {
      'content-type': 'application/protobuf',
      ce_specversion: '1.0',
      ce_type: type,
      ce_id: randomUUID(),
      ce_source: 'first-upstream',
      ce_subject: key,
      ce_time: new Date().toISOString(),
    },
  })),
});
await producer.close();
console.log(`published ${events.length} events`);
