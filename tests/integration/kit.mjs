// What the integration tests share: the real server on a free port and a folder of its own, the
// HTTP API, and waiting for a condition with a deadline instead of sleeping.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

export const BINARY = process.env.QB_TEST_BINARY ?? new URL('../../build/release/bin/quickbid', import.meta.url).pathname;
export const DEADLINE_MS = 15000;

// The first true value of `condition`, asked every few ms; fails with `what` at the deadline.
export async function until(condition, what, deadlineMs = DEADLINE_MS) {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) assert.fail(`not within ${deadlineMs} ms: ${typeof what === 'function' ? what() : what}`);
    await pause(5);
  }
}

export async function freePort() {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

// Tests ask many times a second, all from one address.
const UNLIMITED = { 'requests-per-address': 1000000000, 'api-requests-per-address': 1000000000 };

export class Server {
  // `settings` are flags without dashes: {'bids-per-minute': 200}.
  static async start(settings = {}, env = process.env) {
    const server = new Server();
    server.env = env;
    server.folder = mkdtempSync(join(tmpdir(), 'quickbid-test-'));
    server.settings = settings;
    server.port = await freePort();
    try {
      await server.run();
    } catch (error) {
      if (!server.isOver) await server.kill();
      rmSync(server.folder, { recursive: true, force: true });
      throw error;
    }
    return server;
  }

  async run() {
    const flags = Object.entries({ ...UNLIMITED, ...this.settings }).flatMap(([name, value]) => [`--${name}`, String(value)]);
    this.log = '';
    this.process = spawn(BINARY, ['serve', '--data-dir', this.folder, '--port', String(this.port), ...flags], { env: this.env });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.on('data', (bytes) => { this.log += bytes; });
    }
    this.exit = once(this.process, 'exit').then(([code, signal]) => ({ code, signal }));
    this.exit.then(() => { this.isOver = true; });
    this.isOver = false;
    await until(async () => {
      if (this.isOver) assert.fail(`the server ended: ${this.log}`);
      return (await this.status('/ready')) === 200;
    }, () => `ready; the log: ${this.log}`);
  }

  // The status of a GET; null while nobody answers.
  async status(path) {
    try {
      const answer = await fetch(this.url(path), { headers: { connection: 'close' } });
      await answer.arrayBuffer();
      return answer.status;
    } catch {
      return null;
    }
  }

  url(path) { return `http://127.0.0.1:${this.port}${path}`; }

  async kill(signal = 'SIGKILL') {
    this.process.kill(signal);
    return this.exit;
  }

  // Removes what a server that is over leaves behind.
  forget() { rmSync(this.folder, { recursive: true, force: true }); }

  // The usual end of a test: a clean stop is part of what is tested.
  async stop() {
    if (!this.isOver) {
      const { code, signal } = await this.kill('SIGTERM');
      assert.deepEqual({ code, signal }, { code: 0, signal: null }, this.log);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  async request(method, path, { body, token, key, headers = {} } = {}) {
    const all = { ...headers };
    if (token) all.authorization = `Bearer ${token}`;
    if (key) all['idempotency-key'] = key;
    if (body !== undefined) all['content-type'] ??= 'application/json';
    const answer = await fetch(this.url(path), {
      method, headers: all, body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: text.startsWith('{') ? JSON.parse(text) : text };
  }

  // As request(), for what must succeed.
  async call(method, path, options) {
    const answer = await this.request(method, path, options);
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  async account(name) {
    const body = { email: `${name}@test.example`, password: 'correct horse battery', name, mode: 'token' };
    // Hashing passwords sheds load when it falls behind; as any client, come back after Retry-After.
    const { token, user } = await until(async () => {
      const answer = await this.request('POST', '/api/users', { body });
      if (answer.status === 503) return void await pause(Number(answer.headers.get('retry-after')) * 1000);
      assert.equal(answer.status, 201, JSON.stringify(answer.body));
      return answer.body;
    }, 'a place for a sign-up', 60000);
    return { token, id: user.id, email: body.email, password: body.password };
  }

  async auction(seller, rules = {}) {
    const body = {
      title: 'A watch', description: 'It works.', category: 'other', currency: 'USD', start_price: 100,
      ...(rules.ends_at_ms === undefined ? { duration_ms: 3600000 } : {}), ...rules,
    };
    return (await this.call('POST', '/api/auctions', { token: seller.token, body })).auction.id;
  }

  // The value of a metric, 0 while nothing was counted: metric('catalogue_reads_total{result="hit"}').
  async metric(name) {
    const { body } = await this.request('GET', '/metrics');
    const line = body.split('\n').find((row) => row.startsWith(`quickbid_${name} `));
    return line ? Number(line.split(' ').at(-1)) : 0;
  }

  async state(auction) { return this.call('GET', `/api/auctions/${auction}/state`); }

  // All pages of the public ledger.
  async ledger(auction) {
    const entries = [];
    for (let after = 0; ;) {
      const page = await this.call('GET', `/api/auctions/${auction}/ledger?after=${after}&limit=100`);
      entries.push(...page.entries);
      if (page.next === null || page.entries.length === 0) return entries;
      after = page.next;
    }
  }

  // None, too, of an auction that was published a moment ago and is not archived.
  async bids(auction) {
    const bids = [];
    for (let before = ''; ;) {
      const { status, body: page } = await this.request('GET', `/api/auctions/${auction}/bids?limit=100${before}`);
      if (status === 404) return bids;
      assert.equal(status, 200, JSON.stringify(page));
      bids.push(...page.bids);
      if (page.next === null || page.bids.length === 0) return bids;
      before = `&before=${page.next}`;
    }
  }

  // Rows of the database itself, past all of the server's code.
  rows(sql) {
    const text = execFileSync('sqlite3', ['-json', '-readonly', join(this.folder, 'quickbid.db'), sql], { encoding: 'utf8' });
    return text === '' ? [] : JSON.parse(text);
  }

  // Changes the database behind the server's back, as a fault or a stranger would.
  tamper(sql) {
    execFileSync('sqlite3', [join(this.folder, 'quickbid.db'), `PRAGMA busy_timeout = 5000; ${sql}`]);
  }

  rssKib() {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.process.pid}/status`, 'utf8'))[1]);
  }
}

// Runs `body` with a server that is stopped whatever happens, and says the log if it fails.
export async function withServer(settings, body) {
  const server = await Server.start(settings);
  try {
    await body(server);
  } catch (error) {
    if (!server.isOver) await server.kill();
    rmSync(server.folder, { recursive: true, force: true });
    error.message += `\nserver: ${server.log.slice(-1500)}`;
    throw error;
  }
  await server.stop();
}

// As withServer(), with an admin, whose token comes as the second argument.
export async function withAdmin(settings, body) {
  const admin = { email: 'admin@test.example', password: 'an admin with a long password' };
  const folder = mkdtempSync(join(tmpdir(), 'quickbid-admin-'));
  const file = join(folder, 'password');
  writeFileSync(file, `${admin.password}\n`, { mode: 0o600 });
  try {
    await withServer({ 'admin-email': admin.email, 'admin-password-file': file, ...settings }, async (server) => {
      const { token } = await server.call('POST', '/api/sessions', { body: { ...admin, mode: 'token' } });
      await body(server, token);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
