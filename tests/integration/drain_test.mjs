// SIGTERM: nothing promised is lost, everybody is told where to go, and the exit is clean.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from './client.mjs';
import { until, withServer } from './kit.mjs';

test('a drain settles verdicts, tells to come back and exits with 0', () => withServer(
  { 'drain-wait-ms': 1500, 'drain-spread-ms': 500, 'messages-burst': 1000 }, async (server) => {
    const [seller, ann] = await Promise.all(['seller', 'ann'].map((n) => server.account(n)));
    const auction = await server.auction(seller);
    const bidder = await Client.connect(server, ann);
    const watcher = await Client.connect(server);
    await watcher.good({ do: 'watch', auction });
    const answers = Array.from({ length: 20 }, (_, i) => bidder.bid(auction, 1000 + i * 1000, `k${i}`));
    server.process.kill('SIGTERM');
    await until(async () => (await server.status('/ready')) === 503, 'ready says 503 while connections still come');

    const settled = await Promise.all(answers);
    assert.deepEqual(settled.filter((a) => !a.ok).map((a) => a.error.code), []);
    const { after_ms: after } = await watcher.push('reconnect');
    assert.ok(Number.isInteger(after) && after >= 0, String(after));
    await until(() => watcher.closed !== null && bidder.closed !== null, 'both are closed');
    assert.deepEqual([watcher.closed, bidder.closed], [1012, 1012]);
    assert.deepEqual(await server.exit, { code: 0, signal: null });

    await server.run();
    const { bids, seq } = await server.state(auction);
    assert.equal(bids, settled.length);
    assert.equal(seq, Math.max(...settled.map((a) => a.seq)));
  }));

test('a stop amid logins is clean: what a login asks next finds nobody gone', () => withServer(
  { 'auth-attempts': 100000, 'drain-wait-ms': 0 }, async (server) => {
    const ann = await server.account('ann');
    const body = { email: ann.email, password: ann.password, mode: 'token' };
    const logins = Array.from({ length: 12 }, async () => {
      while (!server.isOver) await server.request('POST', '/api/sessions', { body }).catch(() => pause(5));
    });
    await pause(300); // Passwords are being hashed by now, and more wait.
    assert.deepEqual(await server.kill('SIGTERM'), { code: 0, signal: null }, server.log);
    await Promise.all(logins);
  }));
