// `quickbid persist` on real servers: what RabbitMQ confirmed is in Postgres once, whatever dies. The
// tests share one installation and go on where the one before has ended.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { BINARY, freePort, until } from './kit.mjs';
import { Stack } from './stack.mjs';

const HAND = join(dirname(BINARY), 'cluster_hand');
const LOTS = 40;
const SHARDS = 2;
const LONG_MS = 60000;
const run = promisify(execFile);

let stack;
let environment;
let seqs = 0; // published of each auction so far

before(async () => {
  stack = await Stack.start('postgres-single', 'rabbitmq');
  environment = {
    ...process.env, ...stack.values, SHARDS: String(SHARDS), REDIS_URL: 'redis://127.0.0.1:1,redis://127.0.0.1:2',
  };
});
after(() => {
  for (const persister of Persister.all) persister.process.kill('SIGKILL');
  stack?.stop();
});

const hand = async (...words) => (await run(HAND, words.map(String), { env: environment })).stdout;
const number = async (sql) => Number(await hand('number', sql));
const entries = () => number('SELECT count(*) FROM entries');
const migrate = async () => (await run(BINARY, ['migrate'], { env: environment })).stdout;

class Persister {
  static all = [];

  static async start(settings = {}) {
    const persister = new Persister(settings);
    await persister.logs('persist.ready');
    return persister;
  }

  constructor(settings = {}) {
    const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    this.port = settings['persist-port'];
    this.log = '';
    this.process = spawn(BINARY, ['persist', ...flags], { env: environment });
    this.process.stderr.on('data', (bytes) => { this.log += bytes; });
    Persister.all.push(this); // what a failed test leaves is ended with the file
    this.exit = once(this.process, 'exit').then(([code, signal]) => ({ code, signal }));
  }

  async logs(event) { await until(() => this.log.includes(`"${event}"`), () => `${event}; the log: ${this.log}`, LONG_MS); }

  // What its probes say: {status, body}; null while nobody answers.
  async ask(path, options) {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.port}${path}`, { ...options, headers: { connection: 'close', ...options?.headers } });
      return { status: answer.status, body: await answer.text() };
    } catch {
      return null;
    }
  }

  async status(path) { return (await this.ask(path))?.status; }

  async metric(name) { return Number(new RegExp(`^quickbid_${name} (\\d+)$`, 'm').exec((await this.ask('/metrics')).body)[1]); }

  async end(signal) {
    this.process.kill(signal);
    return this.exit;
  }

  kill() { return this.end('SIGKILL'); }

  async stop() {
    const began = Date.now();
    assert.equal((await this.end('SIGTERM')).code, 0, this.log);
    assert(Date.now() - began < 5000, 'it ends at once');
  }
}

// The next `count` entries of every auction.
async function publish(count, epoch = 1) {
  await hand('publish', epoch, LOTS, seqs + 1, seqs + count);
  seqs += count;
}

// All that was published, once, and nothing else.
async function expectAll() {
  let count = 0;
  await until(async () => {
    count = await entries();
    return count === LOTS * seqs;
  }, () => `${count} entries of ${LOTS * seqs}`, LONG_MS);
  assert.equal(await number('SELECT count(*) FROM conflicts'), 0, 'no conflict');
  assert.equal(await number('SELECT count(*) FROM staging'), 0, 'nothing waits');
  assert.equal(await number('SELECT min(applied_seq) FROM auctions'), seqs, 'all are folded');
  assert.equal(await number('SELECT CAST(sum(bids) AS bigint) FROM auctions'),
    await number('SELECT count(*) FROM bids WHERE is_live = 1'), 'no bid is counted twice');
}

const expectEmptyQueues = () => until(async () => Number(await hand('queued')) === 0, 'all is acknowledged', LONG_MS);

test('it does not start on a database without its migrations', async () => {
  const persister = new Persister();
  assert.equal((await persister.exit).code, 1);
  assert.match(persister.log, /has 0 of \d+ migrations: run quickbid migrate/);
  assert.match(await migrate(), /^[1-9]\d* migrations applied/);
  assert.match(await migrate(), /^0 migrations applied/);
});

test('it waits for queues, and a signal ends that at once', async () => {
  const persister = new Persister({ 'persist-port': await freePort() });
  const other = new Persister();
  await persister.logs('persist.waiting');
  await other.logs('persist.waiting');
  assert.equal(await persister.status('/health'), 200, 'it lives');
  assert.equal(await persister.status('/ready'), 503, 'it reads nothing yet');
  await other.stop();
  await hand('prepare', 1);
  await hand('listings', LOTS);
  await persister.logs('persist.ready');
  await until(async () => (await persister.status('/ready')) === 200, 'ready');
  await publish(20);
  await expectAll();
  await expectEmptyQueues();
  assert.equal(await persister.metric('archive_entries_total'), LOTS * 20);
  assert.equal(await persister.metric('archive_batch_entries_sum'), LOTS * 20);
  assert(await persister.metric('archive_commit_us_count') > 0, 'batches');
  assert.equal(await persister.metric('archive_conflicts_total'), 0);
  assert.equal(await persister.metric('journal_reader_connects_total'), SHARDS);
  assert.equal((await persister.ask('/metrics', { headers: { 'x-forwarded-for': '192.0.2.1' } })).status, 404, 'for this machine only');
  assert.equal((await persister.ask('/health', { method: 'POST' })).status, 405);
  assert.equal(await persister.status('/api/auctions'), 404, 'it serves nothing else');
  assert.equal((await run(BINARY, ['health', '--port', String(persister.port)])).stderr, '', 'what a container asks');
  const taken = new Persister({ 'persist-port': persister.port });
  assert.equal((await taken.exit).code, 1, 'not two on one port');
  assert.match(taken.log, /cannot listen on .* in use/);
  await persister.stop();
});

test('killed again and again with all it may hold, it loses nothing and doubles nothing', async () => {
  await publish(1000);
  for (let i = 0; i < 8; i++) {
    const persister = await Persister.start({ 'persist-batch': 97 });
    const had = await entries();
    await until(async () => (await entries()) > had, 'it goes on', LONG_MS);
    await pause(Math.random() * 50);
    await persister.kill();
  }
  assert(await entries() < LOTS * seqs, 'there was something left to lose');
  const persister = await Persister.start();
  await expectAll();
  await expectEmptyQueues();
  await persister.stop();
});

test('while Postgres is away it holds nothing, and goes on by itself', async () => {
  const persister = await Persister.start({ 'persist-port': await freePort() });
  await stack.kill('postgres');
  await publish(50);
  await persister.logs('persist.waiting');
  await until(async () => (await persister.status('/ready')) === 503, 'not ready');
  assert.equal(await persister.status('/health'), 200, 'but no reason to start it anew');
  assert(await persister.metric('archive_failures_total') > 0);
  assert.match(persister.log, /"journal.reader_disconnected"/, 'it let go of its messages');
  await pause(5000);
  await publish(50);
  assert(await persister.metric('archive_lag_us') > 5e6, 'what it could not write grows older');
  await stack.revive('postgres');
  await expectAll();
  await expectEmptyQueues();
  await until(async () => (await persister.metric('archive_lag_us')) === 0, 'nothing is late');
  assert.equal(await persister.status('/ready'), 200);
  assert.match(persister.log, /"persist.resumed"/);
  await persister.stop();
});

test('without RabbitMQ it waits, and goes on by itself', async () => {
  const persister = await Persister.start();
  await publish(10);
  await stack.kill('rabbitmq');
  await persister.logs('persist.waiting');
  await stack.revive('rabbitmq');
  await publish(10);
  await expectAll();
  await persister.stop();
});

test('of two, the other takes over when one is killed, and takes turns with one that only paused', async () => {
  const first = await Persister.start();
  await publish(10);
  await expectAll();
  const second = await Persister.start();
  await publish(10);
  await expectAll();
  first.process.kill('SIGSTOP');
  await publish(10);
  await expectAll(); // by the second, once the broker has missed the first's heartbeats
  first.process.kill('SIGCONT');
  await publish(10);
  await expectAll();
  await second.kill();
  await publish(10);
  await expectAll(); // by the first, which knows an older state
  const third = await Persister.start();
  await first.kill();
  await publish(10);
  await expectAll();
  await expectEmptyQueues();
  await third.stop();
});

test('a barrier is recorded when all before it is in the tables', async () => {
  await publish(200);
  await hand('seal', 1);
  await hand('mark', 1, 1);
  await hand('mark', 1, 2);
  const persister = await Persister.start({ 'persist-batch': 50 });
  await until(async () => (await number('SELECT count(*) FROM drained WHERE epoch = 1 AND number = 2')) === SHARDS, 'drained', LONG_MS);
  assert.equal(await entries(), LOTS * seqs, 'all was there before');
  await expectAll();
  await expectEmptyQueues();
  await persister.stop();
});

test('what comes of an epoch after its end is void, and the next one has its places', async () => {
  const persister = await Persister.start();
  const archived = seqs;
  for (const state of ['0 REBUILDING', '1 OPENING', '1 OPEN', '1 SEALING', '1 REBUILDING']) await hand('move', ...state.split(' '));
  await hand('prepare', 1); // a route that should be gone
  await publish(3);
  await until(async () => (await number('SELECT count(*) FROM void_entries')) === LOTS * 3, 'kept beside', LONG_MS);
  assert.equal(await entries(), LOTS * archived, 'and nowhere else');
  await hand('seal', 1);
  for (const state of ['2 OPENING', '2 OPEN']) await hand('move', ...state.split(' '));
  await hand('prepare', 2);
  seqs = archived;
  await publish(5, 2);
  await expectAll();
  assert.equal(await number('SELECT count(*) FROM void_entries WHERE epoch = 1'), LOTS * 3, 'as before');
  await persister.stop();
});
