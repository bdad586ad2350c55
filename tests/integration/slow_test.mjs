// A watcher that never reads costs the others nothing and the server no memory.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { Client } from './client.mjs';
import { until, withServer } from './kit.mjs';
import { maskedText, openWebSocket } from './raw.mjs';

const DEAF = 2000;

test('watchers that never read hold up nobody', { timeout: 120000 }, () => withServer(
  { 'bids-per-minute': 200, 'messages-per-second': 10000, 'messages-burst': 10000, 'stalled-ms': 600000 },
  async (server) => {
    const seller = await server.account('seller');
    const accounts = await Promise.all(['a', 'b', 'c', 'd'].map((n) => server.account(n)));
    const auction = await server.auction(seller);
    const deaf = [];
    for (let i = 0; i < 20; i++) {
      const socket = await openWebSocket(server.port);
      socket.pause();
      socket.write(maskedText(JSON.stringify({ id: 1, do: 'watch', auction })));
      deaf.push(socket);
    }
    const bidders = await Promise.all(accounts.map((a) => Client.connect(server, a)));
    const reader = await Client.connect(server);
    await reader.good({ do: 'watch', auction });
    let rss = 0;
    for (let i = 0; i < 600; i++) {
      const answer = await bidders[i % 4].bid(auction, 1000 + i * 20000, `k${i}`);
      assert.equal(answer.ok, true, JSON.stringify(answer));
      await reader.push('update', (u) => u.seq === answer.seq, 2000);
      reader.pushes.length = 0;
      if (i === 100) rss = server.rssKib();
    }
    const grown = server.rssKib() - rss;
    // A sanitizer keeps what was freed for a while; then growth says nothing.
    assert.ok(grown < 4096 || process.env.ASAN_OPTIONS !== undefined, `${grown} KiB for 500 updates to 20 sockets that do not read`);
    for (const socket of deaf) socket.destroy();
    await Promise.all([...bidders, reader].map((c) => c.close()));
  }));

test('2,000 watchers that never read hold up nobody', { timeout: 120000 }, () => withServer(
  { 'connections-per-address': 10000, 'handshakes-per-second': 100000, 'stalled-ms': 600000, 'socket-send-bytes': 4096, 'bids-per-minute': 200,
    'messages-per-second': 1000, 'messages-burst': 1000 },
  async (server) => {
    const ann = await server.account('ann');
    const auction = await server.auction(await server.account('seller'));
    const deaf = spawn('python3', [new URL('deaf_watchers.py', import.meta.url).pathname, String(server.port), auction, String(DEAF)],
      { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      await once(deaf.stdout, 'data');
      const [reader, bidder] = [await Client.connect(server), await Client.connect(server, ann)];
      await reader.good({ do: 'watch', auction });
      const number = async (pattern) => Number(pattern.exec((await server.request('GET', '/metrics')).body)?.[1] ?? 0);
      const isStalled = async () => await number(/^\w*updates_conflated_total (\d+)/m) > DEAF;
      let rss = 0;
      let counted = 0;
      for (let i = 0; i < 199 && counted < 30; i++) {
        const answer = await bidder.bid(auction, 1000 + i * 20000, `k${i}`);
        assert.equal(answer.ok, true, JSON.stringify(answer));
        await reader.push('update', (update) => update.seq === answer.seq, 5000);
        reader.pushes.length = 0;
        if (rss === 0 && await isStalled()) rss = server.rssKib();
        if (rss > 0) counted++;
      }
      assert.equal(counted, 30, 'their sockets are full');
      assert.ok(await number(/^\w*watchers (\d+)/m) > DEAF, 'all are there');
      const grown = server.rssKib() - rss;
      assert.ok(grown < 4096 || process.env.ASAN_OPTIONS !== undefined, `${grown} KiB for 30 updates to ${DEAF} full sockets`);
      await Promise.all([reader, bidder].map((client) => client.close()));
    } finally {
      deaf.kill();
    }
  }));

test('answers nobody reads end the connection', { timeout: 60000 }, () => withServer(
  { 'messages-per-second': 100000, 'messages-burst': 100000, 'outbox-bytes-max': 4096, 'stalled-ms': 1000 },
  async (server) => {
    const socket = await openWebSocket(server.port);
    let isOver = false;
    socket.on('close', () => { isOver = true; });
    socket.pause();
    const pings = Buffer.concat(Array.from({ length: 2000 }, (_, i) => maskedText(`{"id":${i + 1},"do":"ping"}`)));
    for (let i = 0; i < 500 && !isOver; i++) {
      if (!socket.write(pings)) {
        const drained = await Promise.race([once(socket, 'drain').then(() => true), once(socket, 'close').then(() => false),
          new Promise((resolve) => { setTimeout(resolve, 3000, false).unref(); })]);
        if (!drained) break;
      }
    }
    await until(async () => /sessions_closed_total\{[^}]*"slow_reader"[^}]*\} 1/
      .test((await server.request('GET', '/metrics')).body), 'closed as a slow reader');
    socket.destroy();
  }));
