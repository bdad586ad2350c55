// What Postgres has for good leaves Redis, and nobody can tell: whoever loads, follows, resumes or asks
// again is answered as before. On real servers, with limits so small that all of it happens at once.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { Client } from './client.mjs';
import { check, Cluster } from './cluster.mjs';
import { until } from './kit.mjs';

const KEEP = 16;
const BLOCK = 100; // streams are trimmed by blocks of entries
const LONG_MS = 60000;
const STEP = 50000;
const LIMITS = { 'ring-entries': KEEP, 'postgres-failover-ms': 0, 'redis-keep-ms': 5000 };

const redis = (...words) => execFileSync('redis-cli', ['--no-auth-warning', '-u', cluster.env.REDIS_OPERATOR_URL, ...words], { encoding: 'utf8' }).trim();
const number = (auction) => [...auction].reduce((value, letter) => value * 32n + BigInt('0123456789abcdefghjkmnpqrstvwxyz'.indexOf(letter.toLowerCase())), 0n);
const hex = (auction) => number(auction).toString(16).padStart(16, '0');
const key = (auction, name) => `qb:{q0}:${hex(auction)}:${name}`;
const entriesLeft = (auction) => Number(redis('xlen', key(auction, 'stream')));
const newest = (auction) => Number(redis('hget', key(auction, 'state'), 'seq'));
const applied = (auction) => cluster.rows(`SELECT applied_seq FROM auctions WHERE id = ${number(auction)}`)[0].applied_seq;
const sql = (text) => execFileSync('psql', ['-XAtq', cluster.env.DATABASE_URL, '-c', text], { stdio: ['ignore', 'ignore', 'pipe'] });

// `count` bids, by all of the bidders at once; what was acknowledged, with its key.
async function bid(auction, bidders, count) {
  const acknowledged = [];
  await Promise.all(bidders.map(async (account, who) => {
    const client = await Client.connect(cluster.servers[who % cluster.servers.length], account);
    for (let i = 0; i < count / bidders.length; i++) {
      const max = (cluster.max = (cluster.max ?? 1000) + STEP);
      const answer = await client.bid(auction, max, `k${max}`);
      if (answer.ok) acknowledged.push({ auction, key: `k${max}`, max, account, ...answer });
      else assert.equal(answer.error.code, 'too_low', JSON.stringify(answer));
    }
    await client.close();
  }));
  return acknowledged;
}

// The same bid once more, at every replica: its first verdict.
async function repeat({ auction, account, max, key: bidKey, seq }) {
  for (const server of cluster.servers) {
    const client = await Client.connect(server, account);
    let answer = null;
    await until(async () => {
      answer = await client.bid(auction, max, bidKey);
      return answer.ok || !answer.error.temporary;
    }, () => `a verdict: ${JSON.stringify(answer)}`, LONG_MS);
    assert.equal(answer.seq, seq, JSON.stringify(answer));
    await client.close();
  }
}

let cluster;
let seller;
const accounts = [];

before(async () => {
  cluster = await Cluster.start({ parts: ['redis-single', 'rabbitmq', 'postgres-single'], settings: LIMITS });
  seller = await cluster.servers[0].account('seller');
  for (let i = 0; i < 6; i++) accounts.push(await cluster.servers[i % 2].account(`bidder${i}`));
});
after(() => cluster?.stop());

test('the log of a live auction is trimmed, and all goes on as before', { timeout: 240000 }, async () => {
  const auction = await cluster.servers[0].auction(seller);
  const watcher = await Client.connect(cluster.servers[1]);
  const { state: early } = await watcher.good({ do: 'watch', auction });
  const all = await bid(auction, accounts, 720);
  const seq = newest(auction);
  assert.ok(seq > 600, `${seq} entries`);
  await until(() => entriesLeft(auction) < seq - 500 + KEEP + BLOCK, () => `trimmed: ${entriesLeft(auction)} of ${seq}`, LONG_MS);
  assert.ok(entriesLeft(auction) >= KEEP, 'the newest stay');

  // A replica that knows nothing loads it from the snapshot and what is left.
  await cluster.servers[1].kill();
  await cluster.servers[1].run();
  await cluster.open();
  await repeat(all[0]);
  const returned = await Client.connect(cluster.servers[1]);
  const old = await returned.good({ do: 'watch', auction, epoch: early.epoch, seq: early.seq });
  assert.equal(old.result, 'snapshot', 'what was missed is not kept any more');
  assert.equal(old.state.seq, seq);
  await returned.close();
  all.push(...await bid(auction, accounts, 60));
  await check(cluster, [auction], all);

  // So does a recovery, from Postgres, and what it wrote is trimmed again.
  await cluster.stack.kill('redis-0');
  await cluster.stack.revive('redis-0');
  await until(() => cluster.rows('SELECT epoch FROM recovery')[0].epoch > 1, 'a recovery', LONG_MS);
  await cluster.open();
  await repeat(all[0]);
  all.push(...await bid(auction, accounts, 60));
  await check(cluster, [auction], all);

  // A failover of Postgres that loses what it had committed: Redis still has it.
  const isCommitted = () => Number(redis('hget', key(auction, 'state'), 'pg')) === newest(auction);
  await until(isCommitted, 'all is committed', LONG_MS);
  const kept = newest(auction);
  sql(`CREATE TABLE saved AS SELECT * FROM auctions WHERE id = ${number(auction)}`);
  all.push(...await bid(auction, accounts.slice(0, 1), 8));
  assert.ok(newest(auction) > kept);
  await until(isCommitted, 'these, too', LONG_MS);
  sql(`ALTER TABLE entries DISABLE TRIGGER entries_stay;
    DELETE FROM entries WHERE auction = ${number(auction)} AND seq > ${kept};
    ALTER TABLE entries ENABLE TRIGGER entries_stay;
    DELETE FROM bids WHERE auction = ${number(auction)} AND seq > ${kept};
    UPDATE auctions SET applied_seq = saved.applied_seq, price = saved.price, bids = saved.bids, sort_price = saved.sort_price, state = saved.state
      FROM saved WHERE auctions.id = saved.id`);
  await until(() => applied(auction) === newest(auction), 'all is there again', LONG_MS);
  await until(() => cluster.persisters[0].log.includes('"trim.missing"'), 'it is said', LONG_MS);

  // RabbitMQ loses what it had confirmed before anybody has read it.
  await cluster.persisters[0].kill();
  all.push(...await bid(auction, accounts.slice(1, 2), 8));
  await cluster.stack.ask('rabbitmqctl', '--', 'purge_queue', '-p', 'quickbid', 'qb.entries.0');
  assert.ok(newest(auction) > applied(auction));
  cluster.persist();
  await until(() => applied(auction) === newest(auction), 'all is there again', LONG_MS);
  await check(cluster, [auction], all);
});

test('an auction that is over leaves Redis, and its keys are answered by Postgres', { timeout: 240000 }, async () => {
  const auction = await cluster.servers[0].auction(seller, { ends_at_ms: Date.now() + 5000, soft_close: null });
  const all = await bid(auction, accounts.slice(0, 2), 4);
  assert.ok(all.length > 0);
  const clients = await Promise.all(cluster.servers.map((server, i) => Client.connect(server, accounts[i])));
  for (const client of clients) await client.good({ do: 'watch', auction });
  const isOver = (update) => update.auction === auction && update.status === 'sold';
  const [end] = await Promise.all(clients.map((client) => client.push('update', isOver, LONG_MS)));

  // A replica that loads it from what is left in Redis does not take it for a live one.
  await cluster.servers[1].kill();
  await cluster.servers[1].run();
  await cluster.open();
  clients[1] = await Client.connect(cluster.servers[1], accounts[1]);
  assert.equal((await clients[1].good({ do: 'watch', auction })).state.status, 'sold');
  const { body: metrics } = await cluster.servers[1].request('GET', '/metrics');
  assert.match(metrics, /^quickbid_auctions_live 0$/m);

  const isGone = () => redis('exists', key(auction, 'stream'), key(auction, 'ids'), key(auction, 'snap')) === '0';
  await until(isGone, 'its keys are gone', LONG_MS);
  assert.equal(redis('hkeys', key(auction, 'state')), 'gone');
  assert.equal(redis('sismember', 'qb:{q0}:live', hex(auction)), '0');
  for (const one of all) await repeat(one);
  for (const [i, client] of clients.entries()) {
    await until(async () => (await client.bid(auction, 900000000, `late${i}`)).error?.code === 'ended', 'too late', LONG_MS);
    const { state } = await client.good({ do: 'watch', auction });
    assert.deepEqual([state.status, state.price, state.seq], [end.status, end.price, end.seq]);
    const own = all.find(({ account }) => account === accounts[i]);
    if (own) assert.equal((await client.good({ do: 'resolve', auction, key: own.key })).seq, own.seq);
    assert.equal((await client.good({ do: 'resolve', auction, key: 'never' })).verdict, 'void');
    await client.close();
  }
  assert.ok(isGone(), 'nothing came back');
  assert.equal(redis('zscore', 'qb:{q0}:due', hex(auction)), '');
  assert.equal(applied(auction), end.seq, 'nothing was added');
  assert.equal(cluster.rows('SELECT count(*) AS n FROM conflicts')[0].n, 0);
  assert.equal(cluster.rows('SELECT count(*) AS n FROM payments')[0].n, 1);
  const persister = cluster.persisters.at(-1);
  await persister.kill('SIGTERM');
  await until(() => persister.log.includes('"persist.stopped"'), 'a clean end');
});
