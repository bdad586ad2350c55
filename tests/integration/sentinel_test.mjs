// A shard of Redis is a primary with two replicas under Sentinel. The primary dies under load, or hangs
// and comes back: another is promoted, a recovery opens the next epoch on it, and what was acknowledged
// is there exactly once.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { Client } from './client.mjs';
import { check, storm, withCluster } from './cluster.mjs';
import { until } from './kit.mjs';

const PARTS = ['redis', 'redis-spare', 'rabbitmq', 'postgres'];
const PATIENCE_MS = 120000; // a Sentinel that was not run for two seconds does nothing for thirty
const DEAR = 100000000000; // never met by a bid, so that buying stays open to the end

const redis = (url, ...words) => execFileSync('redis-cli', ['--no-auth-warning', '-u', url, ...words], { encoding: 'utf8' }).trim();

// What Sentinel says of shard 0.
function shard0(cluster) {
  const flat = redis(cluster.env.REDIS_SENTINEL_URL, 'sentinel', 'master', 'shard-0').split('\n');
  const value = (name) => flat[flat.indexOf(name) + 1];
  return { port: Number(value('port')), replicas: Number(value('num-slaves')) };
}

const logOf = (cluster) => readFileSync(join(cluster.stack.folder, 'log', 'sentinel'), 'utf8').slice(-1500);

// The operator's own way to a server of shard 0.
const at = (cluster, port) => cluster.env.REDIS_OPERATOR_URL.split(',')[0].replace(/:\d+$/, `:${port}`);
// Empty when Sentinel cuts the connection, as it does to all clients of a server that it demotes.
function role(cluster, port) {
  try {
    return redis(at(cluster, port), 'role').split('\n');
  } catch {
    return [];
  }
}
const epochOf = (cluster) => cluster.rows('SELECT epoch, state FROM recovery')[0];

// Auctions on both shards, two at least on the one that fails over.
async function auctionsOnBoth(cluster, seller) {
  const auctions = [];
  const first = at(cluster, shard0(cluster).port);
  for (let here = 0; here < 2 || auctions.length < here + 1;) {
    auctions.push(await cluster.servers[auctions.length % 2].auction(seller, { duration_ms: 7200000, reserve: DEAR, buy_now: DEAR }));
    here = Number(redis(first, 'scard', 'qb:{q0}:live'));
  }
  return auctions;
}

// Both want it, each at a replica of its own, at the same time.
async function oneBuys(cluster, auction, accounts) {
  const clients = await Promise.all(accounts.map((account, i) => Client.connect(cluster.servers[i % 2], account)));
  for (const client of clients) await client.good({ do: 'watch', auction });
  const answers = await Promise.all(clients.map((client, i) => client.ask({ do: 'buy', auction, price: DEAR, currency: 'USD', key: `buy-${i}` })));
  assert.equal(answers.filter((answer) => answer.ok).length, 1, `one winner: ${JSON.stringify(answers)}`);
  const winner = answers.findIndex((answer) => answer.ok);
  await clients[winner].push('won', (notice) => notice.auction === auction);
  for (const client of clients) {
    const end = await client.push('update', (update) => update.auction === auction && update.status === 'sold');
    assert.deepEqual([end.winner, end.final_price], [answers[winner].label, DEAR], 'both replicas tell the same');
    await client.close();
  }
  await until(() => cluster.rows(`SELECT buyer, amount FROM payments WHERE amount = ${DEAR}`).length === 1, 'one payment');
}

test('Sentinel promotes another primary under load', { timeout: 390000 }, (t) => withCluster({ parts: PARTS }, async (cluster) => {
  await until(() => shard0(cluster).replicas === 2, 'Sentinel knows both replicas', PATIENCE_MS);
  const seller = await cluster.servers[0].account('seller');
  const accounts = [];
  for (let i = 0; i < 8; i++) accounts.push(await cluster.servers[i % 2].account(`bidder${i}`));
  const auctions = await auctionsOnBoth(cluster, seller);
  const all = [];
  const epochs = [epochOf(cluster).epoch];

  for (const [how, back] of [['kill', 'revive'], ['freeze', 'thaw']]) {
    await t.test(`${how}, failover, ${back}`, async () => {
      const old = shard0(cluster).port;
      const name = Object.entries(await cluster.stack.status()).find(([, { port }]) => port === old)[0];
      all.push(...await storm(cluster, auctions, accounts, async () => {
        await cluster.stack[how](name);
        await until(() => shard0(cluster).port !== old, () => `another primary; Sentinel: ${logOf(cluster)}`, PATIENCE_MS);
        await until(() => epochOf(cluster).epoch > epochs.at(-1), 'a recovery', PATIENCE_MS);
        await cluster.open(PATIENCE_MS);
        epochs.push(epochOf(cluster).epoch);
        // The old one still takes itself for the primary, or knows entries that the others never had.
        await cluster.stack[back](name);
        await until(() => role(cluster, old)[0] === 'slave' && role(cluster, old)[3] === 'connected', 'a replica now', PATIENCE_MS);
      }));
      await check(cluster, auctions, all);
      assert.notEqual(shard0(cluster).port, old, 'the promoted one stays');
      assert.equal(epochOf(cluster).epoch, epochs.at(-1), 'and the return of the old one changes nothing');
      assert.equal(epochs.at(-1), epochs.at(-2) + 1, 'one recovery');
    });
  }
  for (const epoch of epochs) assert.ok(all.some((bid) => bid.epoch === epoch), `bids were acknowledged in epoch ${epoch}`);
  await oneBuys(cluster, auctions[0], accounts.slice(0, 2));
}));
