// Server-sent events: the same updates as over WebSocket, for clients that cannot use it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { Client } from './client.mjs';
import { EventStream } from './events.mjs';
import { until, withServer } from './kit.mjs';

const FAST = { 'bids-per-minute': 200, 'messages-per-second': 10000, 'messages-burst': 10000 };

const idOf = (json) => `${json.epoch}-${json.seq}`;

async function metric(server, pattern) {
  const { body } = await server.request('GET', '/metrics');
  return Number(pattern.exec(body)?.[1] ?? 0);
}

const streams = (server) => metric(server, /^quickbid_connections\{[^}]*kind="events"\} (\d+)/m);

test('a visitor sees every price as it is made, with the JSON of the WebSocket', () => withServer(FAST, async (server) => {
  const [seller, ann] = await Promise.all(['seller', 'ann'].map((n) => server.account(n)));
  const auction = await server.auction(seller);
  const stream = await EventStream.open(server, auction);
  assert.equal(stream.status, 200);
  assert.match(stream.fields['content-type'], /^text\/event-stream/);
  assert.equal(stream.fields['cache-control'], 'no-store');
  assert.equal(stream.fields['content-length'], undefined);
  const first = await stream.event('snapshot');
  assert.deepEqual([first.json.on, first.json.auction, first.json.status, first.json.price], ['snapshot', auction, 'open', null]);
  assert.equal(first.id, idOf(first.json));
  assert.ok(Number(first.retry) >= 1000 && Number(first.retry) < 3000, `retry: ${first.retry}`);
  assert.equal(await streams(server), 1);

  const watcher = await Client.connect(server);
  await watcher.good({ do: 'watch', auction });
  const bidder = await Client.connect(server, ann);
  for (let i = 0; i < 20; i++) {
    const { seq } = await bidder.bid(auction, 1000 + i * 1000, `k${i}`);
    const [event, push] = await Promise.all([stream.event('update', (u) => u.seq === seq), watcher.push('update', (u) => u.seq === seq)]);
    assert.deepEqual(event.json, push);
    assert.equal(event.id, idOf(event.json));
  }
  const seqs = stream.events.map((e) => e.json.seq);
  assert.deepEqual(seqs, [...seqs].sort((a, b) => a - b), 'in order, none twice');
  assert.equal(new Set(seqs).size, seqs.length);
  stream.close();
  await Promise.all([watcher, bidder].map((c) => c.close()));
  await until(async () => await streams(server) === 0, 'the stream is gone');
}));

test('a resume gets what was missed, or a snapshot when that is not kept', () => withServer(
  { ...FAST, 'ring-entries': 16 }, async (server) => {
    const [seller, ann, bob] = await Promise.all(['seller', 'ann', 'bob'].map((n) => server.account(n)));
    const auction = await server.auction(seller);
    const bidders = [await Client.connect(server, ann), await Client.connect(server, bob)];
    const before = await EventStream.open(server, auction);
    await bidders[0].bid(auction, 1000, 'k0');
    const { id } = await before.event('update');
    before.close();
    for (let i = 1; i <= 4; i++) await bidders[i % 2].bid(auction, 1000 + i * 1000, `k${i}`);

    const after = await EventStream.open(server, auction, { lastId: id });
    const missed = await after.event('missed');
    const seen = Number(id.split('-')[1]);
    assert.deepEqual(missed.json.missed.map((e) => e.seq), [1, 2, 3, 4].map((i) => seen + i));
    assert.deepEqual([missed.json.on, missed.json.seq, missed.id], ['missed', seen + 4, idOf(missed.json)]);
    assert.equal(after.events.some((e) => e.event === 'snapshot'), false);
    await bidders[1].bid(auction, 9000, 'k5');
    assert.equal((await after.event('update')).json.seq, seen + 5, 'it goes on without a gap');
    after.close();

    for (let i = 6; i < 26; i++) await bidders[i % 2].bid(auction, 9000 + i * 1000, `k${i}`);
    for (const lastId of [id, '0-1', `${id.split('-')[0]}-999999`, 'x', '', '1-', '-1', '99999999999-1', '1-2-3']) {
      const stream = await EventStream.open(server, auction, { lastId });
      const { json } = await stream.event('snapshot');
      assert.equal(json.seq, seen + 25, `Last-Event-ID ${lastId}`);
      stream.close();
    }
    await Promise.all(bidders.map((c) => c.close()));
  }));

test('an update between the snapshot and the stream is not lost', { timeout: 60000 }, () => withServer(FAST, async (server) => {
  const [seller, ann] = await Promise.all(['seller', 'ann'].map((n) => server.account(n)));
  const auction = await server.auction(seller);
  const bidder = await Client.connect(server, ann);
  for (let i = 0; i < 60; i++) {
    const [stream, { seq }] = await Promise.all([EventStream.open(server, auction), bidder.bid(auction, 1000 + i * 1000, `k${i}`)]);
    await until(() => stream.events.some((e) => e.json.seq >= seq), `bid ${i} is seen`);
    stream.close();
  }
  await bidder.close();
}));

test('who is signed in is told what concerns only them', () => withServer(FAST, async (server) => {
  const [seller, ann, bob] = await Promise.all(['seller', 'ann', 'bob'].map((n) => server.account(n)));
  const auction = await server.auction(seller);
  const [mine, visitors] = [await EventStream.open(server, auction, { token: ann.token }), await EventStream.open(server, auction)];
  const { json: { you } } = await mine.event('snapshot');
  assert.match(you.label, /^\w{5}$/);
  assert.equal((await visitors.event('snapshot')).json.you, undefined);
  const clients = [await Client.connect(server, ann), await Client.connect(server, bob)];
  await clients[0].bid(auction, 2000, 'a1');
  await clients[1].bid(auction, 5000, 'b1');
  const outbid = await mine.event('outbid');
  assert.deepEqual([outbid.json.auction, outbid.id], [auction, undefined]);
  await visitors.event('update', (u) => u.bids === 2);
  assert.equal(visitors.events.some((e) => e.event === 'outbid'), false);

  const wrong = await EventStream.open(server, auction, { token: `${ann.token}x` });
  assert.equal(wrong.status, 401);
  await Promise.all(clients.map((c) => c.close()));
  for (const stream of [mine, visitors, wrong]) stream.close();
}));

test('a logout ends the streams of the login, and says so', () => withServer(FAST, async (server) => {
  const [seller, ann] = await Promise.all(['seller', 'ann'].map((n) => server.account(n)));
  const auction = await server.auction(seller);
  const { session, token } = await server.call('POST', '/api/sessions',
    { body: { email: ann.email, password: ann.password, mode: 'token' } });
  const stream = await EventStream.open(server, auction, { token });
  await stream.event('snapshot');
  await server.call('DELETE', '/api/sessions', { body: { session } });
  const { json } = await stream.event('close');
  assert.deepEqual([json.on, json.code, json.reason], ['close', 4002, 'logged_out']);
  await stream.ended();
}));

test('a comment keeps the stream alive', () => withServer({ ...FAST, 'ping-ms': 300, 'pong-ms': 100 }, async (server) => {
  const auction = await server.auction(await server.account('seller'));
  const stream = await EventStream.open(server, auction);
  await until(() => stream.heartbeats >= 3, 'heartbeats');
  assert.equal(stream.isEnded, false, 'no pong is asked for');
  stream.close();
}));

test('what a client sends behind its request changes nothing', () => withServer(FAST, async (server) => {
  const [seller, ann] = await Promise.all(['seller', 'ann'].map((n) => server.account(n)));
  const auction = await server.auction(seller);
  const stream = await EventStream.open(server, auction);
  await stream.event('snapshot');
  for (let i = 0; i < 20; i++) stream.socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1000));
  const bidder = await Client.connect(server, ann);
  await bidder.bid(auction, 1000, 'k');
  await stream.event('update');
  assert.deepEqual(stream.events.map((e) => e.event), ['snapshot', 'update']);
  stream.close();
  await bidder.close();
}));

test('streams that are not read hold up nobody and are closed', { timeout: 120000 }, () => withServer(
  { ...FAST, 'stalled-ms': 3000, threads: 1 }, async (server) => {
    const seller = await server.account('seller');
    const accounts = [];
    for (const name of ['a', 'b', 'c', 'd', 'e']) accounts.push(await server.account(name)); // one password at a time
    const auction = await server.auction(seller, { soft_close: null });
    const bidders = await Promise.all(accounts.map((a) => Client.connect(server, a)));
    const deaf = spawn('python3', [new URL('deaf.py', import.meta.url).pathname, String(server.port), '20']);
    deaf.stdin.end(`GET /api/auctions/${auction}/events HTTP/1.1\r\nHost: x\r\n\r\n`);
    await once(deaf.stdout, 'data');
    const reader = await EventStream.open(server, auction);
    await until(async () => await streams(server) === 21, 'all streams are open');
    const closed = () => metric(server, /sessions_closed_total\{[^}]*"slow_reader"[^}]*\} (\d+)/);
    let [rss, conflated] = [0, 0];
    for (let i = 0; i < 900; i++) {
      const answer = await bidders[i % 5].bid(auction, 1000 + i * 20000, `k${i}`);
      assert.equal(answer.ok, true, JSON.stringify(answer));
      await reader.event('update', (u) => u.seq === answer.seq);
      reader.events.length = 0;
      if (i % 50 !== 49) continue;
      if (i === 99) rss = server.rssKib();
      conflated = Math.max(conflated, await metric(server, /updates_conflated_total (\d+)/));
      if (await closed() === 20) break;
    }
    const grown = server.rssKib() - rss;
    assert.ok(grown < 4096 || process.env.ASAN_OPTIONS !== undefined, `${grown} KiB`);
    assert.ok(conflated > 0, 'they were blocked, and their updates folded into the newest');
    await until(async () => await closed() === 20, 'all are closed as slow readers');
    assert.equal(reader.isEnded, false);
    deaf.kill();
    reader.close();
    await Promise.all(bidders.map((c) => c.close()));
  }));

test('a drain says when to come back, and ends the stream', () => withServer(
  { ...FAST, 'drain-spread-ms': 500 }, async (server) => {
    const auction = await server.auction(await server.account('seller'));
    const stream = await EventStream.open(server, auction);
    await stream.event('snapshot');
    server.process.kill('SIGTERM');
    const { json, retry } = await stream.event('reconnect');
    assert.ok(Number.isInteger(json.after_ms) && json.after_ms >= 0, String(json.after_ms));
    assert.equal(Number(retry), json.after_ms, 'an EventSource waits as long by itself');
    await stream.ended();
    assert.equal(stream.isBroken, undefined);
    assert.equal((await stream.event('close')).json.code, 1012);
    assert.equal(stream.text, '', 'no half event');
    assert.deepEqual(await server.exit, { code: 0, signal: null }, server.log);
  }));

test('what is wrong is answered, not streamed', () => withServer(
  { ...FAST, threads: 1, 'connections-per-user': 2, 'connections-per-address': 12, origins: 'https://bid.example' }, async (server) => {
    const [seller, ann] = await Promise.all(['seller', 'ann'].map((n) => server.account(n)));
    const auction = await server.auction(seller);
    const path = `/api/auctions/${auction}/events`;
    for (const method of ['GET', 'HEAD']) assert.equal((await server.request(method, '/api/auctions/01jzzzzzzzzzz/events')).status, 404);
    const head = await server.request('HEAD', path, { headers: { origin: 'https://bid.example' } });
    assert.deepEqual([head.status, head.body, head.headers.get('content-length')], [200, '', null]);
    assert.match(head.headers.get('content-type'), /^text\/event-stream/);
    assert.equal(head.headers.get('access-control-allow-origin'), 'https://bid.example');
    for (const method of ['POST', 'PUT', 'DELETE']) {
      const answer = await server.request(method, path, { token: ann.token });
      assert.deepEqual([answer.status, answer.headers.get('allow')], [405, 'OPTIONS, GET, HEAD']);
    }
    const shared = await EventStream.open(server, auction, { fields: { Origin: 'https://bid.example' } });
    assert.equal(shared.fields['access-control-allow-origin'], 'https://bid.example');
    shared.close();

    const own = [];
    for (let i = 0; i < 2; i++) own.push(await EventStream.open(server, auction, { token: ann.token }));
    const third = await EventStream.open(server, auction, { token: ann.token });
    assert.deepEqual([third.status, JSON.parse(third.text).code], [429, 'too_many_connections']);
    assert.ok(Number(third.fields['retry-after']) > 0);
    third.close();
    let refused = null;
    for (let i = 0; i < 14 && refused === null; i++) {
      const stream = await EventStream.open(server, auction);
      if (stream.status !== 200) refused = stream;
      own.push(stream);
    }
    assert.deepEqual([refused?.status, JSON.parse(refused.text).code], [429, 'address']);
    for (const stream of own) stream.close();
    await until(async () => (await server.status('/ready')) === 200, 'room again');
  }));
