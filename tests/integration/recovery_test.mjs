// What a recovery, and an outage that needs none, must not take from anybody: the end of an auction,
// a chance to bid, a limit. One cluster; each test goes on where the one before has ended.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from './client.mjs';
import { Cluster } from './cluster.mjs';
import { BINARY, until } from './kit.mjs';

const HAND = join(dirname(BINARY), 'cluster_hand');
const SHARDS = 2;
const LONG_MS = 60000;
const run = promisify(execFile);

let cluster;
let seller;
let ann;
let bob;

before(async () => {
  cluster = await Cluster.start();
  const [first] = cluster.servers;
  [seller, ann, bob] = [await first.account('seller'), await first.account('ann'), await first.account('bob')];
});
after(() => cluster?.stop());

const hand = (...words) => run(HAND, words.map(String), { env: { ...cluster.env, SHARDS: String(SHARDS) } });
const epoch = () => cluster.rows('SELECT epoch FROM recovery')[0].epoch;
const applied = (auction) => cluster.servers[0].ledger(auction).then((entries) => entries.length);

// Kills a shard of Redis; done when the next epoch is open at all replicas.
async function recover() {
  const before = epoch();
  await cluster.stack.kill('redis-1');
  await cluster.stack.revive('redis-1');
  await until(() => epoch() > before, 'the next epoch', LONG_MS);
  await cluster.open();
}

test('who watches an auction that ended right before a recovery is told the end', { timeout: 120000 }, async () => {
  const [first, second] = cluster.servers;
  const auction = await first.auction(seller, { start_price: 1000 });
  const watchers = [await Client.connect(first, ann), await Client.connect(second, bob)];
  for (const watcher of watchers) await watcher.good({ do: 'watch', auction });
  const { seq } = await watchers[0].bid(auction, 5000, 'a');
  for (const watcher of watchers) await watcher.push('update', (update) => update.seq === seq);
  await until(async () => await applied(auction) === seq, 'the bid in Postgres');
  await hand('close', epoch(), auction, seq + 1);
  await until(async () => await applied(auction) === seq + 1, 'the end in Postgres');
  assert.equal((await first.state(auction)).status, 'open', 'no replica knows');
  await recover();
  for (const watcher of watchers) {
    const end = await watcher.push('update', (update) => update.auction === auction && update.status === 'sold');
    assert.equal(end.seq, seq + 1);
    assert.equal(end.last.kind, 'close');
  }
  const late = await watchers[1].bid(auction, 9000, 'late');
  assert.equal(late.error?.code, 'ended', JSON.stringify(late));
});
