// Several replicas, one truth: each server dies under load, one at a time, and nothing that was
// acknowledged is lost, doubled or told differently by anybody.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from './client.mjs';
import { check, storm, withCluster } from './cluster.mjs';
import { until } from './kit.mjs';
import { askFrom } from './peers.mjs';

const REQUESTS = 400;
const LIMITED = { 'trusted-proxies': '127.0.0.1', 'api-requests-per-address': REQUESTS };

const FAULTS = [
  ['a replica', async (cluster) => {
    await cluster.servers[1].kill();
    await pause(500);
    await cluster.servers[1].run();
    await cluster.open();
  }],
  ['a persister', async (cluster) => {
    await cluster.persisters.at(-1).kill();
    cluster.persist();
  }],
  ['RabbitMQ', async (cluster) => {
    await cluster.stack.kill('rabbitmq');
    await pause(500);
    await cluster.stack.revive('rabbitmq');
    await cluster.open();
  }],
  ['a queue with what is in it', async (cluster) => {
    await cluster.stack.ask('rabbitmqctl', '--', 'delete_queue', '-p', 'quickbid', 'qb.entries.0');
    await until(() => cluster.rows('SELECT epoch FROM recovery')[0].epoch > 1, 'a recovery', 60000);
    await cluster.open();
  }],
  ['the primary of Postgres', async (cluster) => {
    await cluster.stack.kill('postgres');
    await pause(1000);
    await cluster.stack.revive('postgres');
  }],
  ['a replica of Postgres', async (cluster) => {
    await cluster.stack.kill('postgres-replica-1');
    await pause(200);
    await cluster.stack.revive('postgres-replica-1');
  }],
  ['a shard of Redis', async (cluster) => {
    await cluster.stack.kill('redis-1');
    await cluster.stack.revive('redis-1');
    await cluster.open();
  }],
  ['a shard of Redis with all its data', async (cluster) => {
    await cluster.stack.kill('redis-1');
    await cluster.stack.wipe('redis-1');
    await cluster.stack.revive('redis-1');
    await cluster.open();
  }],
];

test('a bid on one replica is on the screens of the other', { timeout: 120000 }, () => withCluster({}, async (cluster) => {
  const [first, second] = cluster.servers;
  const seller = await first.account('seller');
  const [ann, bob] = [await first.account('ann'), await second.account('bob')];
  const auction = await first.auction(seller, { start_price: 1000 });
  const here = await Client.connect(first, ann);
  const there = await Client.connect(second, bob);
  await here.good({ do: 'watch', auction });
  await there.good({ do: 'watch', auction });
  const own = await here.bid(auction, 5000, 'a');
  const seen = await there.push('update', (update) => update.seq === own.seq);
  assert.equal(seen.price, 1000);
  assert.ok(seen.dur >= seen.seq, 'nobody sees what a crash takes back');
  const beaten = await there.bid(auction, 9000, 'b');
  assert.equal(beaten.verdict, 'leading');
  await here.push('outbid', (notice) => notice.auction === auction);
  // A key that was used at one replica has its verdict at the other.
  const again = await (await Client.connect(first, bob)).bid(auction, 9000, 'b');
  assert.equal(again.seq, beaten.seq);
  // The end is decided once and told by both.
  const ending = await first.auction(seller, { ends_at_ms: Date.now() + 3000, soft_close: null });
  assert.equal((await there.bid(ending, 700, 'c')).ok, true);
  await here.good({ do: 'watch', auction: ending });
  await there.good({ do: 'watch', auction: ending });
  for (const client of [here, there]) await client.push('update', (update) => update.auction === ending && update.status === 'sold');
  await there.push('won', (notice) => notice.auction === ending);
  await until(() => cluster.rows('SELECT count(*) AS n FROM payments')[0].n === 1, 'one payment');
}));

// Both replicas tell descriptions from memory; workers come and go with what is asked of the store.
test('what a replica tells of an auction follows the others, and waits for no database', { timeout: 120000 }, () => withCluster({ settings: { 'store-idle-ms': 1000 } }, async (cluster) => {
  const [first, second] = cluster.servers;
  const [seller, ann] = [await first.account('seller'), await second.account('ann')];
  const auction = await first.auction(seller, { start_price: 1000, buy_now: 50000 });
  const path = `/api/auctions/${auction}`;
  for (const server of cluster.servers) {
    await until(async () => {
      const { body } = await server.request('GET', path);
      return body.auction?.rules && (await server.metric('catalogue_entries')) > 0;
    }, 'a description in memory');
    assert.equal((await server.call('GET', path)).auction.buy_now, 50000);
  }
  // The second has never heard of this auction but by its description.
  await first.call('POST', `${path}/bids`, { token: ann.token, key: 'a', body: { max: 2000, currency: 'USD' } });
  for (const server of cluster.servers) {
    await until(async () => (await server.call('GET', path)).auction.buy_now === null, 'the offer is over here, too');
  }
  await until(async () => {
    const hits = await second.metric('catalogue_reads_total{result="hit"}');
    await second.call('GET', path);
    return (await second.metric('catalogue_reads_total{result="hit"}')) > hits;
  }, 'it is told from memory again');
  assert.equal(await second.metric('work_threads{pool="store"}'), 5);

  for (const name of ['postgres', 'postgres-replica-1', 'postgres-replica-2']) await cluster.stack.freeze(name);
  try {
    const asked = Array.from({ length: 60 }, () => second.request('GET', '/api/auctions'));
    assert.equal((await second.request('GET', path)).status, 200, 'what is in memory waits for nobody');
    await until(async () => (await second.metric('work_busy_threads{pool="store"}')) === 20, 'twenty ask at a time');
    for (const answer of await Promise.all(asked)) {
      assert.equal(answer.status, 503);
      assert.match(answer.body.code, /^(busy|unavailable)$/);
      if (answer.body.code === 'busy') assert.equal(answer.headers.get('retry-after'), '1');
    }
    assert.ok(await second.metric('work_expired_total{pool="store"}') > 0, 'some were told before any worker was free');
  } finally {
    for (const name of ['postgres', 'postgres-replica-1', 'postgres-replica-2']) await cluster.stack.thaw(name);
  }
  await until(async () => (await second.request('GET', '/api/auctions')).status === 200, 'it answers again', 30000);
  await until(async () => (await second.metric('work_threads{pool="store"}')) === 5, 'the others end when idle', 30000);
}));

test('every server dies once under load', { timeout: 600000 }, async (t) => {
  await withCluster({}, async (cluster) => {
    const seller = await cluster.servers[0].account('seller');
    const accounts = [];
    for (let i = 0; i < 12; i++) accounts.push(await cluster.servers[0].account(`bidder${i}`));
    const auctions = [];
    for (let i = 0; i < 4; i++) auctions.push(await cluster.servers[i % 2].auction(seller, { duration_ms: 7200000 }));
    const all = [];
    for (const [name, fault] of FAULTS) {
      await t.test(`the loss of ${name}`, async () => {
        all.push(...await storm(cluster, auctions, accounts, () => fault(cluster)));
        await check(cluster, auctions, all);
      });
    }
  });
});

// S48: all that both replicas let through together, however they are asked.
async function requestsOverAll(servers) {
  const headers = { 'x-forwarded-for': '203.0.113.7' };
  let through = 0;
  const lane = async (server) => {
    for (;;) {
      const answer = await askFrom('127.0.0.1', server.port, { path: '/api/time', headers });
      if (answer.status === 200) through += 1;
      else if (Number(answer.headers['retry-after']) > 60) return; // sooner: until they have spoken
      else await pause(100);
    }
  };
  await Promise.all([...servers, ...servers].map(lane));
  assert.ok(Math.abs(through - REQUESTS) <= REQUESTS / 100, `${through} of ${REQUESTS}`);
}

test('limits and bans hold over all replicas', { timeout: 120000 }, () => withCluster({ settings: { 'bids-per-minute': 10, ...LIMITED } }, async (cluster) => {
  const [first, second] = cluster.servers;
  const seller = await first.account('seller');
  const ann = await first.account('ann');
  const auction = await first.auction(seller, { start_price: 1000 });
  const clients = [await Client.connect(first, ann), await Client.connect(second, ann)];
  const codes = [];
  for (let i = 0; i < 30; i++) {
    const answer = await clients[i % 2].bid(auction, 1000 + 100 * i, `k${i}`);
    codes.push(answer.ok ? 'ok' : answer.error.code);
    if (!answer.ok) assert.ok(answer.error.retry_after_ms > 40000, JSON.stringify(answer));
  }
  assert.deepEqual(codes, [...Array(10).fill('ok'), ...Array(20).fill('rate_limited')], 'ten in all, not at each');

  await requestsOverAll([first, second]);

  // The role is given in the store, as by a person with the database at hand; then an admin of one
  // replica bans, and the account is out at the other.
  const boss = await first.account('boss');
  cluster.rows('UPDATE users SET roles = 4 WHERE email = \'boss@test.example\' RETURNING id');
  const { token } = await first.call('POST', '/api/sessions', { body: { email: boss.email, password: boss.password, mode: 'token' } });
  await first.call('POST', `/api/users/${ann.id}/ban`, { token });
  await until(() => clients.every((client) => client.closed === 4003), () => `closed: ${clients.map((c) => c.closed)}`);
  const me = await second.request('GET', '/api/me', { token: ann.token });
  assert.equal(me.status, 403, JSON.stringify(me.body));
}));
