// A cluster for a test: the real servers of k8s/stack, replicas and persisters of the program, and
// bidders that never give up a bid before they know what became of it.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { broken } from './chain.mjs';
import { Client } from './client.mjs';
import { BINARY, Server, until } from './kit.mjs';
import { Stack } from './stack.mjs';

const run = promisify(execFile);
const PACE_MS = 320; // below bids_per_minute
const SETTINGS = { 'bids-per-minute': 200, 'messages-per-second': 10000, 'messages-burst': 10000, 'drain-spread-ms': 0 };

class Persister {
  constructor(env, settings) {
    const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    this.log = '';
    this.process = spawn(BINARY, ['persist', ...flags], { env });
    for (const stream of [this.process.stdout, this.process.stderr]) stream.on('data', (bytes) => { this.log += bytes; });
    this.exit = once(this.process, 'exit').then(() => { this.isOver = true; });
  }

  async kill(signal = 'SIGKILL') {
    if (!this.isOver) this.process.kill(signal);
    await this.exit;
  }
}

export class Cluster {
  static async start({ parts = ['redis', 'rabbitmq', 'postgres'], replicas = 2, persisters = 1, settings = {} } = {}) {
    const cluster = new Cluster();
    cluster.servers = [];
    cluster.persisters = [];
    cluster.settings = settings;
    cluster.stack = await Stack.start(...parts);
    try {
      const key = join(cluster.stack.folder, 'token.key');
      writeFileSync(key, randomBytes(32).toString('hex'), { mode: 0o600 });
      cluster.env = { ...process.env, ...cluster.stack.values, QUICKBID_TOKEN_KEY_FILE: key };
      await run(BINARY, ['migrate'], { env: cluster.env });
      for (let i = 0; i < persisters; i++) cluster.persist();
      cluster.servers = await Promise.all(Array.from({ length: replicas }, () => Server.start({ ...SETTINGS, ...settings }, cluster.env)));
      await cluster.open();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  persist() { this.persisters.push(new Persister(this.env, this.settings)); }

  // Until every replica takes bids: its epoch is open.
  async open(deadlineMs = 60000) {
    for (const server of this.servers) {
      if (server.isOver) continue;
      await until(async () => {
        const { body } = await server.request('GET', '/metrics');
        return /^quickbid_ledger_open 1$/m.test(body) && /^quickbid_journal_breaker_open 0$/m.test(body);
      }, () => `an open epoch; the log: ${server.log.slice(-2000)}`, deadlineMs);
    }
  }

  // A figure of a replica.
  async metric(server, name) {
    const { body } = await server.request('GET', '/metrics');
    return Number(new RegExp(`^quickbid_${name} (\\d+)$`, 'm').exec(body)[1]);
  }

  // A row of Postgres itself, past all of the program's code.
  rows(sql) {
    // A CTE, so that what changes rows may tell them, too.
    const text = execFileSync('psql', ['-XAtq', this.env.DATABASE_URL, '-c', `WITH t AS (${sql}) SELECT coalesce(json_agg(t), '[]') FROM t`], { encoding: 'utf8' });
    return JSON.parse(text);
  }

  async stop() {
    await Promise.all(this.servers.map((server) => (server.isOver ? null : server.kill())));
    await Promise.all(this.persisters.map((persister) => persister.kill()));
    for (const server of this.servers) server.forget();
    this.stack.stop();
  }
}

export async function withCluster(options, body) {
  const cluster = await Cluster.start(options);
  try {
    await body(cluster);
  } catch (error) {
    const logs = cluster.servers.map((server, i) => `replica ${i}: ${server.log.slice(-3000)}`);
    error.message += `\n${logs.join('\n')}\npersister: ${cluster.persisters.at(-1)?.log.slice(-1500)}`;
    throw error;
  } finally {
    await cluster.stop();
  }
}

// Bids one after the other until told to stop, at whichever replica answers; a bid whose answer was
// lost is sent again with its key until there is a verdict. `acknowledged` gets every verdict.
export class Bidder {
  constructor(cluster, account, auctions, acknowledged) {
    const name = randomBytes(6).toString('hex'); // keys of no bidder before
    Object.assign(this, { cluster, account, auctions, acknowledged, name, next: 0, at: 0, isStopped: false });
  }

  async connected() {
    while (!this.client || this.client.closed !== null) {
      const servers = this.cluster.servers.filter((server) => !server.isOver);
      try {
        this.client = await Client.connect(servers[this.at++ % servers.length], this.account);
      } catch {
        await pause(50);
      }
    }
    return this.client;
  }

  // The verdict of one bid, however long it takes.
  async settle(auction, max, key) {
    for (;;) {
      try {
        const answer = await (await this.connected()).bid(auction, max, key);
        if (answer.ok || !answer.error.temporary) return answer;
        await pause(Math.min(answer.error.retry_after_ms ?? 100, 300));
      } catch {
        await pause(20); // the connection ended: what became of the bid is unknown
      }
    }
  }

  async run(maxOf) {
    while (!this.isStopped) {
      const auction = this.auctions[this.next % this.auctions.length];
      const key = `${this.name}-${this.next++}`;
      const max = maxOf();
      const answer = await this.settle(auction, max, key);
      if (answer.ok) this.acknowledged.push({ auction, key, max, ...answer });
      else assert.ok(['too_low', 'rate_limited'].includes(answer.error.code), JSON.stringify(answer));
      await pause(PACE_MS);
    }
    await this.client?.close();
  }
}

// Bids on all auctions from both replicas while `fault` happens, and for a moment after it is over.
export async function storm(cluster, auctions, accounts, fault) {
  const acknowledged = [];
  let max = cluster.max ?? 1000;
  const bidders = accounts.map((account) => new Bidder(cluster, account, auctions, acknowledged));
  const runs = Promise.all(bidders.map((bidder) => bidder.run(() => (cluster.max = max += 1000))));
  const tests = async () => {
    await until(() => acknowledged.length > 20, 'bids before the fault', 30000);
    await fault();
    const before = acknowledged.length;
    await until(() => acknowledged.length > before + 20, () => `bids after the fault (${acknowledged.length - before})`, 60000);
  };
  try {
    await Promise.race([tests(), runs]); // a bidder only ends by itself when an answer is wrong
  } finally {
    for (const bidder of bidders) bidder.isStopped = true;
  }
  await runs;
  return acknowledged;
}

// What `ask` gives, asked again while a server that is coming back is busy with that.
async function patiently(ask) {
  let answer = null;
  await until(async () => {
    try {
      answer = { value: await ask() };
    } catch (error) {
      if (!/: 503 /.test(error.message)) throw error;
    }
    return answer;
  }, 'an answer other than 503');
  return answer.value;
}

// What was acknowledged is in Postgres exactly once, in one order, and every replica tells the same.
export async function check(cluster, auctions, acknowledged) {
  for (const auction of auctions) {
    const mine = acknowledged.filter((bid) => bid.auction === auction);
    const live = cluster.servers.filter((server) => !server.isOver);
    const states = await Promise.all(live.map((server) => server.state(auction)));
    const newest = Math.max(...states.map((state) => state.seq));
    await until(async () => (await patiently(() => live[0].ledger(auction))).length >= newest, `entry ${newest} in Postgres`, 30000);
    const ledger = await patiently(() => live[0].ledger(auction));
    assert.deepEqual(ledger.map((entry) => entry.seq), ledger.map((_, i) => i + 1), 'no gap');
    assert.equal(broken(ledger), null, 'the chain holds');
    assert.equal(new Set(mine.map((bid) => bid.seq)).size, mine.length, 'no place for two bids');
    const bids = new Map((await patiently(() => live[0].bids(auction))).map((bid) => [bid.seq, bid]));
    for (const bid of mine) {
      assert.ok(bids.has(bid.seq), `acknowledged bid ${bid.key} (${bid.seq}) is gone`);
      assert.equal(bids.get(bid.seq).price, bid.price, `bid ${bid.key}`);
    }
    const settled = await Promise.all(live.map(async (server) => {
      await until(async () => (await server.state(auction)).seq >= newest, 'every replica is up to date');
      const { price, leader, bids: count } = await server.state(auction);
      return { price, leader, count };
    }));
    for (const state of settled) assert.deepEqual(state, settled[0], 'one truth');
    if (mine.length > 0) {
      const best = mine.reduce((x, y) => (y.max > x.max ? y : x));
      assert.equal(settled[0].leader, best.label, 'the greatest acknowledged bid leads');
    }
  }
}
