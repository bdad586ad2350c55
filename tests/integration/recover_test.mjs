// `quickbid recover --explain` on real servers: what it says to whoever is on call when all is well,
// when one of the services is away, and before and within a recovery.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { Client } from './client.mjs';
import { withCluster } from './cluster.mjs';
import { BINARY, until } from './kit.mjs';

const LONG_MS = 60000;
const HAND = join(dirname(BINARY), 'cluster_hand');

// {status, text}; never with a password.
async function explain(cluster) {
  const { status, text } = await new Promise((done) => {
    execFile(BINARY, ['recover', '--explain'], { env: cluster.env }, (error, stdout, stderr) => done({ status: error?.code ?? 0, text: stdout + stderr }));
  });
  for (const url of [cluster.env.REDIS_URL, cluster.env.RABBITMQ_URL, cluster.env.DATABASE_URL]) {
    assert(!text.includes(/:([^:@]+)@/.exec(url)[1]), `a password: ${text}`);
  }
  return { status, text };
}

function expectSaid({ status, text }, wanted, ...sentences) {
  for (const sentence of sentences) assert.match(text, sentence);
  assert.equal(status, wanted, text);
}

test('it says what is wrong and what to do', { timeout: 300000 }, () => withCluster({ parts: ['redis-single', 'rabbitmq', 'postgres-single'], replicas: 1 }, async (cluster) => {
  const [server] = cluster.servers;
  const seller = await server.account('seller');
  const auction = await server.auction(seller, { start_price: 1000 });
  const client = await Client.connect(server, await server.account('ann'));
  assert.equal((await client.bid(auction, 5000, 'a')).ok, true);
  const archived = () => until(() => cluster.rows('SELECT count(*) AS n FROM entries')[0].n === 2, 'the bid in Postgres', LONG_MS);

  await archived();
  await until(async () => (await explain(cluster)).status === 0, 'all is well', LONG_MS);
  expectSaid(await explain(cluster), 0, /^Postgres +says: epoch 1 is OPEN since 20\d\d-.* 1 auctions are not over/m,
    /^Redis 0 +is the one that epoch 1 was opened in\. 1 auctions, 1 of them due, the next in \d+ s; 0 entries not confirmed by RabbitMQ; 0 not in Postgres\.$/m,
    /^RabbitMQ +answers\. qb\.entries\.0: 0 messages, 1 readers\. qb\.dead: 0 messages/m,
    /^Recovery +is not needed\.$/m, /^Do +Nothing\.$/m);

  await cluster.stack.kill('postgres');
  expectSaid(await explain(cluster), 3, /^Postgres +cannot be asked: .*refused/m, /^Redis 0 .* epoch 1 /m, /^Do +Bring Postgres back first/m);
  await cluster.stack.revive('postgres');

  await cluster.stack.kill('rabbitmq');
  expectSaid(await explain(cluster), 3, /^RabbitMQ +cannot be asked: 127\.0\.0\.1:/m, /^Postgres +says: epoch 1/m, /^Do +Start RabbitMQ again/m);
  await cluster.stack.revive('rabbitmq');
  await cluster.open();

  // Nobody is there to recover, or to read queues.
  await Promise.all([server.kill(), cluster.persisters[0].kill()]);
  await cluster.stack.kill('redis-0');
  expectSaid(await explain(cluster), 3, /^Redis 0 +cannot be used: .*refused/m, /^Do +Start Redis again/m);
  await cluster.stack.wipe('redis-0');
  await cluster.stack.revive('redis-0');
  expectSaid(await explain(cluster), 1, /^Redis 0 +has no epoch: its data is lost/m, /^Recovery +is needed, and not begun/m,
    /^Do .*nothing that was acknowledged is lost/m, /^Do +Start a server/m);

  await server.run();
  await until(async () => /in step "(mark|drain)"/.test((await explain(cluster)).text), 'a recovery that waits', LONG_MS);
  const waiting = await explain(cluster);
  expectSaid(waiting, 1, /^Postgres +says: epoch 1 is SEALING\./m, new RegExp(`^Recovery +is under way, led by ${server.process.pid}@.* for \\d+ s\\.$`, 'm'),
    /^Waits for +persisters .* 0 of 1 shards/m, /^Do +Start `quickbid persist`/m);
  cluster.persist();
  await cluster.open(LONG_MS);
  await until(async () => (await explain(cluster)).status === 0, 'well again', LONG_MS);
  expectSaid(await explain(cluster), 0, /epoch 2 is OPEN/, /^Recovery +is not needed/m);

  // Its log has each step with its time and what it did.
  const steps = server.log.split('\n').filter((line) => line.includes('"recovery.step"')).map((line) => JSON.parse(line));
  assert.match(server.log, /"journal.tested"/, 'the broker was tested at the start');
  assert.deepEqual(steps.map(({ step }) => step), ['seal', 'wait', 'mark', 'drain', 'rebuild', 'open']);
  for (const { step, ms } of steps) assert(Number.isInteger(ms) && ms >= (step === 'wait' ? 3000 : 0), `${step}: ${ms} ms`);
  assert.deepEqual(steps.filter(({ step }) => step === 'rebuild').map(({ auctions, entries }) => [auctions, entries]), [[1, 2]]);
  const { body } = await server.request('GET', '/metrics');
  assert.match(body, /^quickbid_recovery_seconds_count 1$/m);
  assert.match(body, /^quickbid_recovery_seconds_sum \d+\.\d+$/m);

  // A route that the broker has forgotten: whoever publishes finds that, and the next epoch has one.
  execFileSync(HAND, ['seal', '2'], { env: { ...cluster.env, SHARDS: '1' } });
  const bidder = await Client.connect(server, await server.account('bob'));
  const bid = bidder.bid(auction, 6000, 'b');
  await until(() => cluster.rows('SELECT epoch, state FROM recovery').some(({ epoch, state }) => epoch === 3 && state === 'OPEN'), 'a recovery', LONG_MS);
  await bid; // told something, whatever that is
  await cluster.open(LONG_MS);
  assert.equal((await bidder.bid(auction, 7000, 'c')).ok, true, 'bids count again');
  assert.match(server.log, /"recovery.begins".*no route/);
  assert.equal(cluster.rows('SELECT epoch FROM recovery')[0].epoch, 3, 'once');
}));
