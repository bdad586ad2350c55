// Every limit, one beyond it: a clear code, and when to come back.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { Client } from './client.mjs';
import { until, withAdmin, withServer } from './kit.mjs';
import { askFrom } from './peers.mjs';
import { exchange, handshake } from './raw.mjs';

test('the 51st bid within a minute is refused, a resend is none', () => withServer({ 'messages-burst': 1000 }, async (server) => {
  const [seller, ann, bob] = await Promise.all(['seller', 'ann', 'bob'].map((n) => server.account(n)));
  const auction = await server.auction(seller);
  const [client, second] = [await Client.connect(server, ann), await Client.connect(server, ann)];
  for (let i = 1; i <= 50; i++) {
    const answer = await (i % 2 ? client : second).bid(auction, 1000 * i, `k${i}`);
    assert.equal(answer.ok, true, JSON.stringify(answer));
  }
  assert.equal((await client.bid(auction, 1000, 'k1')).ok, true, 'a resend takes no second place');
  for (const connection of [client, second]) {
    const { error } = await connection.bid(auction, 99000, 'k51');
    assert.deepEqual([error.code, error.temporary, error.limit], ['rate_limited', true, 'bids_per_minute']);
    assert.ok(error.retry_after_ms > 0 && error.retry_after_ms <= 60000, String(error.retry_after_ms));
  }
  const http = await server.request('POST', `/api/auctions/${auction}/bids`,
    { token: ann.token, key: 'k51', body: { max: 99000, currency: 'USD' } });
  assert.deepEqual([http.status, http.body.code], [429, 'rate_limited']);
  assert.ok(Number(http.headers.get('retry-after')) >= 1);
  assert.equal((await server.state(auction)).bids, 50, 'what was refused did not count');
  const other = await Client.connect(server, bob);
  assert.equal((await other.bid(auction, 200000, 'b1')).verdict, 'leading', 'others are not held up');
  await Promise.all([client, second, other].map((c) => c.close()));
}));

test('a refused bid leaves the whole limit for others at once', () => withAdmin({}, async (server, admin) => {
  const [seller, ann, bob] = await Promise.all(['seller', 'ann', 'bob'].map((n) => server.account(n)));
  const [first, second] = [await server.auction(seller), await server.auction(seller)];
  await server.call('PUT', `/api/users/${ann.id}/limit`, { token: admin, body: { currency: 'USD', amount: 1000 } });
  const [a, b] = [await Client.connect(server, ann), await Client.connect(server, bob)];
  assert.equal((await b.bid(first, 900, 'b1')).verdict, 'leading');
  assert.equal((await a.bid(first, 200, 'a1')).verdict, 'outbid');
  await a.refused({ do: 'bid', auction: first, max: 200, currency: 'USD', key: 'a2' }, 'too_low');
  await a.refused({ do: 'bid', auction: '0000000000001', max: 900, currency: 'USD', key: 'a3' }, 'unknown_auction');
  assert.equal((await a.bid(second, 1000, 'a4')).verdict, 'leading', 'nothing is reserved any more');
  await a.refused({ do: 'bid', auction: first, max: 950, currency: 'USD', key: 'a5' }, 'limit');
  await Promise.all([a, b].map((c) => c.close()));
}));

test('the log of the database stays within its limit under a steady load', () => withServer(
  { 'wal-bytes-max': 1048576, 'bids-per-minute': 200, 'messages-per-second': 1000, 'messages-burst': 1000 }, async (server) => {
    const seller = await server.account('seller');
    const log = join(server.folder, 'quickbid.db-wal');
    let most = 0;
    const lane = async (name) => {
      const auction = await server.auction(seller);
      const client = await Client.connect(server, await server.account(name));
      for (let i = 0; i < 150; i++) {
        assert.equal((await client.bid(auction, 1000 + 100 * i, `k${i}`)).ok, true);
        most = Math.max(most, statSync(log).size);
      }
      await client.close();
    };
    await Promise.all(['ann', 'bob', 'cat'].map(lane));
    assert.ok(most < 3000000, `${most} bytes`);
    await until(async () => { // the log may just have been emptied
      await server.auction(seller);
      await new Promise((done) => setTimeout(done, 600));
      const { body } = await server.request('GET', '/metrics');
      const bytes = Number(/^quickbid_wal_bytes (\d+)/m.exec(body)[1]);
      return bytes > 0 && bytes <= 1048576 + 200000;
    }, 'the metric');
  }));

test('the 101st login attempt within 15 minutes is refused', { timeout: 120000 }, () => withServer({}, async (server) => {
  const ann = await server.account('ann'); // the first attempt
  const log = (i) => server.request('POST', '/api/sessions',
    { body: { email: `nobody${i}@test.example`, password: 'wrong horse battery' } });
  for (let i = 0; i < 99; i++) { // one by one: of many at once the server hashes only some in time
    const answer = await log(i);
    assert.deepEqual([answer.status, answer.body.code], [401, 'wrong_credentials']);
  }
  const refused = await server.request('POST', '/api/sessions', { body: { email: ann.email, password: ann.password } });
  assert.deepEqual([refused.status, refused.body.code, refused.body.limit], [429, 'rate_limited', 'auth_attempts']);
  assert.ok(Number(refused.headers.get('retry-after')) > 0);
}));

test('S48, S50: requests of an address, to the API and in all, handshakes too', () => withServer(
  { 'trusted-proxies': '127.0.0.1', 'requests-per-address': 30, 'api-requests-per-address': 20 }, async (server) => {
    const from = (ip, path) => askFrom('127.0.0.1', server.port, { path, headers: { 'x-forwarded-for': ip } });
    const shake = (ip) => exchange(server.port, [handshake({ also: [`X-Forwarded-For: ${ip}`] })], (got) => got.includes('\r\n\r\n'));
    const limited = (answer, limit) => {
      assert.deepEqual([answer.status, answer.body.code, answer.body.limit, answer.headers.connection], [429, 'rate_limited', limit, 'close']);
      const after = Number(answer.headers['retry-after']);
      assert.ok(after > 800 && after <= 910, `${after} s: until the oldest leaves the window`);
      assert.equal(answer.body.retry_after_ms, after * 1000);
    };
    for (let i = 0; i < 19; i++) assert.equal((await from('203.0.113.1', '/api/time')).status, 200, `request ${i}`);
    assert.match((await shake('203.0.113.1')).toString(), /^HTTP\/1\.1 101 /);
    limited(await from('203.0.113.1', '/api/time'), 'api_requests_per_address');
    limited(await from('203.0.113.1', '/api/no-such-thing'), 'api_requests_per_address');
    assert.match((await shake('203.0.113.1')).toString(), /^HTTP\/1\.1 429 .*Retry-After: \d/s);
    for (let i = 0; i < 10; i++) assert.equal((await from('203.0.113.1', '/health')).status, 200, 'the rest of the other limit');
    limited(await from('203.0.113.1', '/'), 'requests_per_address');
    limited(await from('203.0.113.1', '/api/time'), 'api_requests_per_address');
    for (const ip of ['203.0.113.2', '2001:db8::1']) assert.equal((await from(ip, '/api/time')).status, 200, 'others are not held up');
    // A refusal comes before the body: of 2 MiB that were announced, none is waited for.
    const body = await exchange(server.port, ['POST /api/sessions HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.1\r\nContent-Length: 2000000\r\n\r\n'], () => false);
    assert.match(body.toString(), /^HTTP\/1\.1 429 /);
    const metrics = (await server.request('GET', '/metrics')).body;
    assert.match(metrics, /^quickbid_limited_total\{limit="api_requests_per_address"\} 5$/m);
    assert.match(metrics, /^quickbid_limited_total\{limit="requests_per_address"\} 1$/m);
  }));

test('messages beyond the rate are refused, the third ends the connection', () => withServer({}, async (server) => {
  const client = await Client.connect(server);
  const answers = await Promise.allSettled(Array.from({ length: 60 }, () => client.ask({ do: 'ping' })));
  const codes = answers.filter((a) => a.value && !a.value.ok).map((a) => a.value.error);
  assert.ok(answers.filter((a) => a.value?.ok).length >= 40);
  assert.deepEqual(codes.map((e) => e.code), ['rate_limited', 'rate_limited', 'rate_limited']);
  assert.ok(codes.every((e) => e.temporary && e.retry_after_ms > 0));
  await until(() => client.closed !== null, 'close');
  assert.equal(client.closed, 1008);
}));

test('connections of one address and of one account', () => withServer(
  { threads: 1, 'connections-per-address': 14, 'connections-per-user': 10 }, async (server) => {
    const ann = await server.account('ann');
    const clients = [];
    for (let i = 0; i < 10; i++) clients.push(await Client.connect(server, ann));
    const eleventh = await Client.connect(server);
    await eleventh.refused({ do: 'auth', token: ann.token }, 'too_many_connections');
    clients.push(eleventh);
    let refused = null;
    for (let i = 0; i < 5 && refused === null; i++) {
      const bytes = await exchange(server.port, [handshake()], (got) => got.includes('\r\n\r\n'));
      if (!bytes.toString().startsWith('HTTP/1.1 101')) refused = bytes.toString();
      else clients.push(await Client.connect(server));
    }
    assert.match(refused ?? '', /^HTTP\/1\.1 429 .*Retry-After: \d/s);
    await Promise.all(clients.map((c) => c.close()));
    await until(async () => (await server.status('/ready')) === 200, 'room again');
  }));

test('connections in all', () => withServer({ threads: 1, 'connections-max': 8 }, async (server) => {
  const clients = [];
  let refused = '';
  for (let i = 0; i < 10 && refused === ''; i++) {
    const bytes = (await exchange(server.port, ['GET /health HTTP/1.1\r\nHost: x\r\n\r\n'], (got) => got.includes('}'))).toString();
    if (bytes.startsWith('HTTP/1.1 503')) refused = bytes;
    else clients.push(await Client.connect(server).catch(() => null));
  }
  assert.match(refused, /Retry-After: \d/);
  assert.match(refused, /"code":"full"/);
  await Promise.all(clients.map((c) => c?.close()));
}));

test('auctions watched by one connection', () => withServer({ 'watches-max': 3, 'messages-burst': 200 }, async (server) => {
  const seller = await server.account('seller');
  const client = await Client.connect(server);
  const ids = [];
  for (let i = 0; i < 4; i++) ids.push(await server.auction(seller));
  for (const auction of ids.slice(0, 3)) await client.good({ do: 'watch', auction });
  await client.refused({ do: 'watch', auction: ids[3] }, 'too_many_watches');
  await client.good({ do: 'unwatch', auction: ids[0] });
  await client.good({ do: 'watch', auction: ids[3] });
  await client.close();
}));

test('sizes: the largest passes, one byte more does not', () => withServer({}, async (server) => {
  const ping = (size) => `{"id":1,"do":"ping"${' '.repeat(size - 20)}}`;
  const client = await Client.connect(server, await server.account('ann'));
  client.socket.send(ping(16384));
  await new Promise((resolve) => { client.waiting.set(1, { resolve }); });
  client.socket.send(ping(16385));
  await until(() => client.closed !== null, 'close');
  assert.equal(client.closed, 1009);

  const body = (size) => `{"email":${' '.repeat(size - 11)}7}`;
  const small = await server.request('POST', '/api/sessions', { body: body(65536) });
  assert.deepEqual([small.status, small.body.code], [400, 'bad_body']);
  const big = await server.request('POST', '/api/sessions', { body: body(65537) });
  assert.deepEqual([big.status, big.body.code], [413, 'too_large']);
  const head = await exchange(server.port, [`GET /health HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(17000)}\r\n\r\n`],
    (got) => got.includes('}'));
  assert.match(head.toString(), /^HTTP\/1\.1 431 /);
}));

test('bodies together have a limit, and a body that is gone gives its room back', () => withServer(
  { 'bodies-bytes-max': 65536, 'body-bytes-max': 65536 }, async (server) => {
    const post = (length) => fetch(server.url('/api/users'), {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: ' '.repeat(length),
    });
    assert.equal((await post(1000)).status, 400);
    const slow = connect(server.port, '127.0.0.1');
    slow.on('error', () => {});
    slow.write('POST /api/users HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60000\r\nExpect: 100-continue\r\n\r\n');
    assert.match(String((await once(slow, 'data'))[0]), /^HTTP\/1\.1 100 /, 'its room is taken');
    assert.equal((await post(10000)).status, 503);
    slow.destroy();
    await until(async () => (await post(10000)).status === 400, 'the room is free again');
  }));

// A server with small limits of an account, a seller of it, and an admin.
function withSeller(settings, body) {
  const folder = mkdtempSync(join(tmpdir(), 'quickbid-admin-'));
  const file = join(folder, 'password');
  const login = { email: 'admin@test.example', password: 'an admin with a long password' };
  writeFileSync(file, login.password, { mode: 0o600 });
  return withServer({ 'admin-email': login.email, 'admin-password-file': file, ...settings }, async (server) => {
    const admin = await server.call('POST', '/api/sessions', { body: { ...login, mode: 'token' } });
    await body(server, await server.account('seller'), admin);
  }).finally(() => rmSync(folder, { recursive: true }));
}

const AUCTION = { title: 'A watch', description: 'It works.', category: 'other', currency: 'USD', start_price: 100, duration_ms: 3600000 };

test('auctions of one account that are not over', () => withSeller({ 'auctions-per-seller': 2 }, async (server, seller, admin) => {
  const publish = (who) => server.request('POST', '/api/auctions', { token: who.token, body: AUCTION });
  const [first] = [await server.auction(seller), await server.auction(seller)];
  const refused = await publish(seller);
  assert.deepEqual([refused.status, refused.body.code, refused.body.limit], [409, 'auctions_full', 'auctions_per_seller']);
  assert.match(refused.body.detail, /when one is over/);
  assert.match((await server.request('GET', '/metrics')).body, /^quickbid_limited_total\{limit="auctions_per_seller"\} 1$/m);
  assert.equal((await publish(await server.account('other'))).status, 201, 'each account has its own');
  for (let i = 0; i < 3; i++) assert.equal((await publish(admin)).status, 201, 'admins have none');
  await server.call('POST', `/api/auctions/${first}/cancel`, { token: seller.token, body: {} });
  await until(async () => (await publish(seller)).status === 201, 'room again');
  assert.equal((await publish(seller)).status, 409);
}));

test('auctions that one account publishes in a day', () => withSeller({ 'auctions-per-day': 2 }, async (server, seller, admin) => {
  const publish = (who) => server.request('POST', '/api/auctions', { token: who.token, body: AUCTION });
  for (let i = 0; i < 2; i++) assert.equal((await publish(seller)).status, 201);
  const { status, body, headers } = await publish(seller);
  assert.deepEqual([status, body.code, body.limit], [429, 'rate_limited', 'auctions_per_day']);
  const wait = Number(headers.get('retry-after'));
  assert.ok(wait > 86000 && wait <= 86400, String(wait));
  for (let i = 0; i < 3; i++) assert.equal((await publish(admin)).status, 201, 'admins have none');
}));

test('bytes of images of one account', () => withSeller({ 'image-bytes-per-user': 12000 }, async (server, seller, admin) => {
  const upload = (who, size, mark) => {
    const bytes = new Uint8Array(size).fill(mark);
    bytes.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
    return fetch(server.url('/api/images'), {
      method: 'POST', headers: { authorization: `Bearer ${who.token}`, 'content-type': 'image/png' }, body: bytes,
    });
  };
  assert.equal((await upload(seller, 7904, 1)).status, 201);
  assert.equal((await upload(seller, 10, 2)).status, 201, '4096 more: full to the byte');
  const refused = await upload(seller, 10, 3);
  assert.equal(refused.status, 409);
  const { code, limit } = await refused.json();
  assert.deepEqual([code, limit], ['images_full', 'image_bytes_per_user']);
  assert.equal((await upload(seller, 10, 2)).status, 201, 'what is there takes no more room');
  for (let i = 4; i < 8; i++) assert.equal((await upload(admin, 7000, i)).status, 201, 'admins have none');
  assert.match((await server.request('GET', '/metrics')).body, /^quickbid_limited_total\{limit="image_bytes_per_user"\} 1$/m);
}));
