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
  cluster = await Cluster.start({ settings: { 'drain-wait-ms': 0, 'drain-verdicts-ms': 100 } });
  const [first] = cluster.servers;
  [seller, ann, bob] = [await first.account('seller'), await first.account('ann'), await first.account('bob')];
});
after(() => cluster?.stop());

const hand = (...words) => run(HAND, words.map(String), { env: { ...cluster.env, SHARDS: String(SHARDS) } });
const epoch = () => cluster.rows('SELECT epoch FROM recovery')[0].epoch;

const EXTEND = 9; // enum qb_entry_type
const CLOSE = 12;
// The types of an auction's entries in Postgres.
const types = (auction) => cluster.rows(`SELECT get_byte(bytes, 21) AS type FROM entries WHERE auction = ${numberOf(auction)} ORDER BY seq`).map((row) => row.type);
const isBreakerOpen = async (server) => /^quickbid_journal_breaker_open 1$/m.test((await server.request('GET', '/metrics')).body);

// An id as the stores have it.
function numberOf(id) {
  let number = 0n;
  for (const digit of id) number = number * 32n + BigInt('0123456789abcdefghjkmnpqrstvwxyz'.indexOf(digit));
  return number;
}

// As qb_shard_of() has it.
const shardOf = (id) => Number((BigInt.asUintN(64, numberOf(id) * 0x9E3779B97F4A7C15n) >> 32n) % BigInt(SHARDS));

// An auction (of a shard) that ends then, known to both replicas.
async function endingIn(ms, shard = null) {
  for (;;) {
    const endsAt = Date.now() + ms;
    const auction = await cluster.servers[0].auction(seller, { start_price: 1000, ends_at_ms: endsAt, soft_close: null });
    if (shard !== null && shardOf(auction) !== shard) continue;
    for (const server of cluster.servers) await until(async () => (await server.status(`/api/auctions/${auction}/state`)) === 200, 'its state');
    return { auction, endsAt };
  }
}

// Auctions of those shards (null: of any) that are open still once `fault` has begun: with more time on a slow machine.
async function endingInto(shards, fault, heal) {
  for (let ms = 4000; ; ms *= 3) {
    const made = [];
    for (const shard of shards) made.push(await endingIn(ms, shard));
    await fault();
    if (made.every(({ endsAt }) => Date.now() < endsAt)) return made;
    await heal();
    await cluster.open();
  }
}

// It has been put off once, whoever of the replicas found that out, and takes bids again at both.
async function isPutOff(auction, backMs) {
  const [first, second] = cluster.servers;
  const clients = [await Client.connect(first, ann), await Client.connect(second, bob)];
  for (const [i, client] of clients.entries()) {
    let state;
    await until(async () => {
      state = await cluster.servers[i].state(auction);
      return state.status !== 'closing';
    }, () => `a decision: ${JSON.stringify(state)}`, LONG_MS);
    assert.equal(state.status, 'open');
    assert.ok(state.ends_at_ms >= backMs + 30000, `${state.ends_at_ms} after ${backMs}`);
    const answer = await until(async () => {
      const seen = await client.bid(auction, 20000 + i * 10000, `back-${i}`);
      return (seen.ok || !seen.error.temporary) && seen;
    }, 'a verdict');
    assert.equal(answer.verdict, 'leading', JSON.stringify(answer));
  }
  const { seq } = await first.state(auction);
  await until(() => types(auction).length >= seq, 'all in Postgres');
  const all = types(auction);
  assert.equal(all.filter((type) => type === EXTEND).length, 1, String(all));
  assert.ok(!all.includes(CLOSE), String(all));
}

// What an account has at stake in an auction by its folded state, as Redis has it: [amount, end, epoch].
async function holdOf(account, auction) {
  const [user, id] = [account.id, auction].map((text) => numberOf(text).toString(16).padStart(16, '0'));
  const shard = shardOf(account.id);
  const script = `local field = 'h' .. struct.pack('<I4I4', 0x${id.slice(8)}, 0x${id.slice(0, 8)})
    local hold = redis.call('HGET', KEYS[1], field)
    if not hold then return {} end
    local seq, amount, ends, currency, epoch = struct.unpack('<I8I8I8c4I4', hold)
    return {amount, ends, epoch}`;
  const url = cluster.env.REDIS_OPERATOR_URL.split(',')[shard];
  const { stdout } = await run('redis-cli', ['--no-auth-warning', '-u', url, 'EVAL', script, '1', `qb:{q${shard}}:limit:${user}:stakes`]);
  return stdout.trim().split('\n').map(Number);
}

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
  await until(() => types(auction).length === seq, () => `the bid in Postgres: ${types(auction)} of ${seq}; ${cluster.persisters[0].log}`);
  await hand('close', epoch(), auction, seq + 1);
  await until(() => types(auction).length === seq + 1, 'the end in Postgres');
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

test('an auction whose end falls into an outage of RabbitMQ is put off', { timeout: 120000 }, async () => {
  const heal = () => cluster.stack.revive('rabbitmq');
  const [{ auction, endsAt }] = await endingInto([null], async () => {
    await cluster.stack.kill('rabbitmq');
    for (const server of cluster.servers) await until(() => isBreakerOpen(server), 'no bids');
  }, heal);
  await until(() => Date.now() > endsAt + 500, 'its end');
  for (const server of cluster.servers) assert.equal((await server.state(auction)).status, 'closing');
  const backMs = Date.now();
  await heal();
  await cluster.open();
  await isPutOff(auction, backMs);
});

test('an auction whose end falls into an outage of its shard of Redis is put off, and no other', { timeout: 120000 }, async () => {
  const before = epoch();
  const heal = () => cluster.stack.thaw('redis-1');
  const [{ auction: other }, { auction, endsAt }] = await endingInto([0, 1], () => cluster.stack.freeze('redis-1'), heal);
  await until(() => Date.now() > endsAt + 3000, 'its end');
  const backMs = Date.now();
  await heal();
  await cluster.open();
  await isPutOff(auction, backMs);
  assert.equal(epoch(), before, 'without a recovery');
  await until(async () => (await cluster.servers[0].state(other)).status === 'unsold', 'the other is over');
  assert.ok(!types(other).includes(EXTEND));
});

// A second attempt at a recovery, by a replica that knows no auction: bids that only the queues have, markers
// of the first attempt, a leader with a limit.
test('what a recovery that was begun before has left is not taken for done', { timeout: 120000 }, async () => {
  const [first, second] = cluster.servers;
  const boss = await first.account('boss');
  cluster.rows('UPDATE users SET roles = 4 WHERE email = \'boss@test.example\' RETURNING id');
  const { token } = await first.call('POST', '/api/sessions', { body: { email: boss.email, password: boss.password, mode: 'token' } });
  await first.call('PUT', `/api/users/${ann.id}/limit`, { token, body: { currency: 'USD', amount: 100000 } });
  const auction = await first.auction(seller, { start_price: 1000 });
  const client = await Client.connect(first, ann);
  await until(async () => (await client.bid(auction, 5000, 'limited')).ok, 'a bid, once the limits have Redis back');
  await until(async () => (await holdOf(ann, auction))[0] === 5000, 'what is at stake');
  const before = epoch();
  await cluster.persisters.at(-1).kill();
  const { seq } = await client.good({ do: 'bid', auction, max: 90000, currency: 'USD', key: 'only-in-a-queue' });
  cluster.rows('UPDATE recovery SET attempt = attempt + 1 RETURNING attempt');
  for (const number of [1, 2])
    for (const shard of [0, 1]) cluster.rows(`INSERT INTO drained VALUES (${before}, ${shard}, ${number}) RETURNING epoch`);
  await Promise.all([first.kill(), second.kill()]);
  await cluster.stack.kill('redis-1');
  await cluster.stack.revive('redis-1');
  await Promise.all([first.run(), second.run()]);
  // The first to lead is told to end while it waits for the queues to be read; the other goes on.
  const hasMarked = (server) => !server.isOver && /"step":"wait"/.test(server.log);
  const leader = await until(() => cluster.servers.find(hasMarked), 'a leader', LONG_MS);
  assert.equal((await leader.kill('SIGTERM')).signal, null, leader.log.slice(-1000));
  assert.match(leader.log, /"recovery.left"/);
  await until(() => cluster.servers.find(hasMarked), 'another leader', LONG_MS);
  await pause(2500); // it has read what there is of the markers, and rebuilt if it took those for its own
  cluster.persist();
  await cluster.open();
  await leader.run();
  await cluster.open();
  assert.equal(types(auction).length, seq, 'an acknowledged bid is lost');
  assert.deepEqual(await holdOf(ann, auction), [90000, 0, epoch()], 'a limit forgets what nobody has looked at');
  assert.equal((await second.state(auction)).seq, seq);
});

// Redis answers nothing: a bid waits for the limits, one for its place in the log, one question for its auction.
test('a replica that ends answers whoever waits, and ends', { timeout: 120000 }, async () => {
  const [, server] = cluster.servers;
  const auctions = [await endingIn(600000, 1), await endingIn(600000, 1)].map(({ auction }) => auction);
  const client = await Client.connect(server, bob);
  await until(async () => (await client.bid(auctions[0], 5000, 'before')).ok, 'a bid');
  await cluster.stack.freeze('redis-1');
  const waiting = [client.bid(auctions[0], 7000, 'ws'), client.ask({ do: 'watch', auction: auctions[1] })];
  for (const answer of waiting) answer.catch(() => {}); // the connection ends
  const http = server.request('POST', `/api/auctions/${auctions[1]}/bids`, { token: ann.token, key: 'http', body: { max: 5000, currency: 'USD' } });
  http.catch(() => {});
  await until(async () => /^quickbid_tickets_in_use [1-9]/m.test((await server.request('GET', '/metrics')).body), 'a command under way');
  const { code, signal } = await server.kill('SIGTERM');
  assert.deepEqual([code, signal], [1, null], server.log.slice(-2000));
  assert.match(server.log, /"server.stopped"/);
  await cluster.stack.thaw('redis-1');
});
