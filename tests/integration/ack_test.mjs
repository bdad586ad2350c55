// ack = ledger: bidders are answered by Redis and its replica, so that RabbitMQ may be away for a while;
// what was acknowledged meanwhile outlives the loss of the primary, and reaches Postgres exactly once.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Client } from './client.mjs';
import { Bidder, check, withCluster } from './cluster.mjs';
import { Server, until } from './kit.mjs';

// Bids all the time while `body` runs; it gets how many were acknowledged, and waits for more of them.
async function underLoad(cluster, auctions, accounts, body) {
  const acknowledged = [];
  let max = cluster.max ?? 1000;
  const bidders = accounts.map((account) => new Bidder(cluster, account, auctions, acknowledged));
  const runs = bidders.map((bidder) => bidder.run(() => (max += 1000)));
  const more = (count, what) => {
    const before = acknowledged.length;
    return until(() => acknowledged.length >= before + count, () => `${what} (${acknowledged.length - before})`, 90000);
  };
  await body(more, acknowledged);
  for (const bidder of bidders) bidder.isStopped = true;
  await Promise.all(runs);
  cluster.max = max;
  return acknowledged;
}

test('bids go on without RabbitMQ, and none that was acknowledged is lost', { timeout: 380000 }, (t) => withCluster({ settings: { ack: 'ledger' } }, async (cluster) => {
  const [first, second] = cluster.servers;
  const seller = await first.account('seller');
  const accounts = [];
  for (let i = 0; i < 8; i++) accounts.push(await first.account(`bidder${i}`));
  const auctions = [];
  for (let i = 0; i < 4; i++) auctions.push(await cluster.servers[i % 2].auction(seller, { duration_ms: 7200000 }));
  const all = [];

  await t.test('RabbitMQ away and back', async () => {
    all.push(...await underLoad(cluster, auctions, accounts, async (more) => {
      await more(10, 'bids before');
      await cluster.stack.kill('rabbitmq');
      await until(async () => await cluster.metric(first, 'journal_breaker_open') === 1, 'RabbitMQ is missed');
      await more(80, 'bids without RabbitMQ');
      // An end is decided and told, too.
      const ending = await first.auction(seller, { ends_at_ms: Date.now() + 3000, soft_close: null });
      const watcher = await Client.connect(second, accounts[0]);
      await watcher.good({ do: 'watch', auction: ending });
      assert.equal((await watcher.bid(ending, 700, 'c')).ok, true);
      await watcher.push('won', (notice) => notice.auction === ending);
      await until(async () => await cluster.metric(second, 'ledger_outbox_entries') >= 80, 'they are in the outbox');
      const copies = await cluster.metric(first, 'journal_unconfirmed') + await cluster.metric(second, 'journal_unconfirmed');
      assert.ok(copies < 40, `${copies} entries wait in memory`);
      assert.equal(cluster.rows('SELECT count(*) AS n FROM payments')[0].n, 0, 'nothing of it is in Postgres');
      await cluster.stack.revive('rabbitmq');
      await more(10, 'bids after');
    }));
    for (const server of cluster.servers) await until(async () => await cluster.metric(server, 'ledger_outbox_entries') === 0, 'the outbox is empty', 60000);
    await until(() => cluster.rows('SELECT count(*) AS n FROM payments')[0].n === 1, 'one payment', 60000);
    await check(cluster, auctions, all);
    assert.equal(cluster.rows('SELECT epoch FROM recovery')[0].epoch, 1, 'none of this is a case for recovery');
  });

  await t.test('the primary of Redis lost while RabbitMQ is away', async () => {
    all.push(...await underLoad(cluster, auctions, accounts, async (more, acknowledged) => {
      await cluster.stack.kill('rabbitmq');
      await until(async () => await cluster.metric(second, 'journal_breaker_open') === 1, 'RabbitMQ is missed');
      await more(60, 'bids that only Redis has');
      await cluster.stack.kill('redis-0');
      const before = acknowledged.length;
      await until(() => cluster.rows('SELECT state FROM recovery')[0].state !== 'OPEN', 'a recovery', 60000);
      await cluster.stack.revive('redis-0'); // as a replica
      await cluster.stack.revive('rabbitmq');
      await cluster.open(120000);
      assert.ok(before > 0);
      await more(20, 'bids after');
    }));
    await check(cluster, auctions, all);
    assert.equal(cluster.rows('SELECT count(*) AS n FROM void_entries')[0].n, 0, 'nothing is void');
    assert.deepEqual(cluster.rows('SELECT epoch, ack FROM recovery'), [{ epoch: 2, ack: 'ledger' }]);
  });

  await t.test('a replica that is set otherwise opens an epoch of its own', async () => {
    cluster.servers.push(await Server.start({ ...first.settings, ack: 'journal' }, cluster.env));
    await until(() => cluster.rows('SELECT ack, state FROM recovery').some((row) => row.ack === 'journal' && row.state === 'OPEN'), 'the other way', 60000);
    await cluster.open();
    for (const server of cluster.servers) assert.match(server.log, /"epoch.open","epoch":3,"ack":"journal"/, 'all follow');
    all.push(...await underLoad(cluster, auctions, accounts, (more) => more(10, 'bids')));
    await check(cluster, auctions, all);
  });
}));
