// Behind a proxy (security.md 4.8): whom a trusted one names is counted, and nobody else is believed.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Client } from './client.mjs';
import { until, withServer } from './kit.mjs';
import { askFrom, tryLogin } from './peers.mjs';
import { exchange, handshake } from './raw.mjs';

const PROXY = '127.0.0.1'; // trusted
const STRANGER = '127.0.0.2'; // not
const TRUST = { 'trusted-proxies': `${PROXY},192.0.2.0/24` };

const forwarded = (value) => ({ 'x-forwarded-for': value });

const TWO = { ...TRUST, 'api-requests-per-address': 2 }; // an address may ask twice

// The statuses of requests from `from` with each of these headers.
async function statuses(server, from, rows, ask = (headers) => askFrom(from, server.port, { path: '/api/time', headers })) {
  const seen = [];
  for (const headers of rows) seen.push((await ask(headers)).status);
  return seen;
}

test('S54: each client of a trusted proxy has its own limit, and nothing it adds gives it another', () => withServer(TWO, async (server) => {
  const mine = '203.0.113.7';
  assert.deepEqual(await statuses(server, PROXY, [mine, `198.51.100.1, ${mine}`, `198.51.100.2, ${mine}`, `${mine}, 192.0.2.9`,
    `unknown, 127.0.0.1, ${mine}`, ['198.51.100.3', mine], `::ffff:${mine}`, `${mine}:4711`].map(forwarded)), [200, 200, ...Array(6).fill(429)]);
  assert.deepEqual(await statuses(server, PROXY, [forwarded('203.0.113.8')]), [200], 'another client');
  assert.deepEqual(await statuses(server, PROXY, [{}, {}, {}]), [200, 200, 429], 'the proxy itself');
}));

test('S54: attempts to log in, too', () => withServer({ ...TRUST, 'auth-attempts': 1 }, async (server) => {
  const rows = ['203.0.113.7', '198.51.100.1, 203.0.113.7', '203.0.113.8'].map(forwarded);
  assert.deepEqual(await statuses(server, PROXY, rows, (headers) => tryLogin(PROXY, server.port, headers)), [401, 429, 401]);
}));

test('S54: from anybody else the header is not read', () => withServer(TWO, async (server) => {
  const rows = ['203.0.113.1', '203.0.113.2', '203.0.113.3', '127.0.0.1', 'nonsense'].map(forwarded);
  assert.deepEqual(await statuses(server, STRANGER, rows), [200, 200, 429, 429, 429]);
  assert.deepEqual(await statuses(server, '127.0.0.3', rows.slice(0, 1)), [200], 'its own limit');
}));

test('S54: without the setting nobody is believed', () => withServer({ 'api-requests-per-address': 2 }, async (server) => {
  assert.deepEqual(await statuses(server, PROXY, ['203.0.113.1', '203.0.113.2', '203.0.113.3'].map(forwarded)), [200, 200, 429]);
}));

test('S51: clients in one /64 behind a proxy are one', () => withServer(TWO, async (server) => {
  const rows = ['2001:db8:0:1::1', '[2001:db8:0:1::2]:4711', '2001:db8:0:1:ffff::3', '2001:db8:0:2::1'].map(forwarded);
  assert.deepEqual(await statuses(server, PROXY, rows), [200, 200, 429, 200]);
}));

test('S55: what is no address is refused from a proxy, and the connection ends', () => withServer(TRUST, async (server) => {
  const bad = ['', 'unknown', '203.0.113.7,', '203.0.113.256', '0.0.0.0', '::', '[203.0.113.7', 'for=203.0.113.7', '\t',
    Array(21).fill('203.0.113.7').join(), Array(500).fill('192.0.2.1').join(), `${'9'.repeat(8000)}`];
  for (const value of bad) {
    const bytes = await exchange(server.port, [`GET /health HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ${value}\r\n\r\n`], () => false);
    assert.match(bytes.toString(), /^HTTP\/1\.1 400 .*Connection: close\r\n.*"code":"bad_forwarded"/s, value.slice(0, 40));
  }
  const several = 'X-Forwarded-For: 203.0.113.7\r\n'.repeat(20);
  for (const [lines, status] of [[several, 200], [`${several}X-Forwarded-For: 203.0.113.7\r\n`, 400], [`${several}X-Forwarded-For: x\r\n`, 400]]) {
    const bytes = await exchange(server.port, [`GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines}\r\n`], () => false);
    assert.match(bytes.toString(), new RegExp(`^HTTP/1.1 ${status} `), lines.slice(-40));
  }
  const { body } = await server.request('GET', '/metrics');
  assert.match(body, /^quickbid_http_refused_total\{why="bad_forwarded"\} 14$/m);
}));

test('S56: a PROXY header is no request, whoever sends it', () => withServer(TRUST, async (server) => {
  const second = Buffer.concat([Buffer.from('0d0a0d0a000d0a515549540a2111000ccb007107c0000201138801bb', 'hex'), Buffer.from('GET /health HTTP/1.1\r\nHost: x\r\n\r\n')]);
  for (const bytes of ['PROXY TCP4 203.0.113.7 127.0.0.1 5000 443\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n', 'PROXY UNKNOWN\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n', second]) {
    const answer = (await exchange(server.port, [bytes], () => false)).toString();
    assert.match(answer, /^HTTP\/1\.1 400 .*Connection: close\r\n/s);
    assert.doesNotMatch(answer, /200 OK/, 'what came behind is not read');
  }
}));

test('S57: no other header of a proxy changes anything', () => withServer({ ...TWO, hosts: 'bid.example,127.0.0.1' }, async (server) => {
  const host = { host: 'bid.example' };
  const rows = ['203.0.113.1', '203.0.113.2', '203.0.113.3'].map((ip) => ({
    ...host, 'x-real-ip': ip, 'true-client-ip': ip, 'cf-connecting-ip': ip, 'x-client-ip': ip, forwarded: `for=${ip}`,
  }));
  assert.deepEqual(await statuses(server, PROXY, rows), [200, 200, 429]);
  const other = { host: 'evil.example', 'x-forwarded-host': 'bid.example', 'x-forwarded-server': 'bid.example' };
  assert.equal((await askFrom(PROXY, server.port, { headers: other })).status, 421);
  const plain = await askFrom(PROXY, server.port, { path: '/', headers: host });
  const claimed = await askFrom(PROXY, server.port, { path: '/', headers: { ...host, 'x-forwarded-proto': 'https', 'x-forwarded-host': 'evil.example', 'x-original-url': '/api/time' } });
  for (const name of ['date', 'age']) for (const answer of [plain, claimed]) delete answer.headers[name];
  assert.deepEqual(claimed, plain);
}));

test('connections of a proxy count for whom it asks', () => withServer({ ...TRUST, threads: 1, 'connections-per-address': 3 }, async (server) => {
  const connect = (ip) => Client.connect(server, null, { headers: forwarded(ip) });
  const clients = [];
  for (const ip of ['203.0.113.7', '203.0.113.8', '2001:db8::1']) for (let i = 0; i < 3; i++) clients.push(await connect(ip));
  const refused = (await exchange(server.port, [handshake({ also: ['X-Forwarded-For: 203.0.113.7'] })], () => false)).toString();
  assert.match(refused, /^HTTP\/1\.1 429 .*Retry-After: \d.*"code":"address"/s);
  assert.equal((await askFrom(PROXY, server.port, { headers: forwarded('203.0.113.9') })).status, 200, 'others are not held up');
  assert.equal((await askFrom(PROXY, server.port, { path: '/metrics', headers: forwarded('127.0.0.1') })).status, 404, 'nobody behind a proxy is on this machine');
  await clients.shift().close();
  clients.push(await until(() => connect('203.0.113.7').catch(() => null), 'a place again'));
  await Promise.all(clients.map((client) => client.close()));
}));

test('one connection of a proxy serves one client after the other', () => withServer({ ...TRUST, threads: 1, 'connections-per-address': 1 }, async (server) => {
  const ask = (ip, more = '') => `GET /api/time HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ${ip}\r\n${more}\r\n`;
  const pieces = ['203.0.113.1', '203.0.113.1', '203.0.113.2', '203.0.113.3', '203.0.113.1'].map((ip) => ask(ip));
  const answers = (await exchange(server.port, [...pieces, ask('203.0.113.4', 'Connection: close\r\n')], () => false)).toString();
  assert.equal(answers.match(/HTTP\/1\.1 200 OK/g).length, 6, answers);
  for (const ip of ['203.0.113.1', '203.0.113.4']) { // nobody is counted for ever
    await until(async () => (await askFrom(PROXY, server.port, { headers: forwarded(ip) })).status === 200, 'a place');
  }
}));
