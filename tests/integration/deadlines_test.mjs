// What ends by the clock: silence after a handshake, a client that answers no ping, slow heads.
import assert from 'node:assert/strict';
import { createPrivateKey, sign } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import WebSocket from 'ws';
import { Client } from './client.mjs';
import { until, withServer } from './kit.mjs';

const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex'); // before the seed

test('who says nothing valid within the first seconds is let go, who does stays', () => withServer(
  { 'first-command-ms': 300 }, async (server) => {
    const ann = await server.account('ann');
    const { ticket } = await server.call('POST', '/api/tickets', { token: ann.token });
    const known = new WebSocket(`ws://127.0.0.1:${server.port}/ws?ticket=${ticket}`, 'quickbid.v1');
    await once(known, 'open');
    const [silent, watcher] = await Promise.all([Client.connect(server), Client.connect(server)]);
    await watcher.good({ do: 'ping' });
    await until(() => silent.closed !== null, 'the silent one is closed');
    assert.equal(silent.closed, 1008);
    await watcher.good({ do: 'ping' });
    assert.equal(known.readyState, WebSocket.OPEN, 'whose ticket says who it is may be silent');
    known.terminate();
    await watcher.close();
  }));

// `token` with another end, signed with the server's own key.
function endingAt(server, token, second) {
  const [header, payload] = token.split('.');
  const claims = { ...JSON.parse(Buffer.from(payload, 'base64url')), exp: second };
  const seed = Buffer.from(readFileSync(join(server.folder, 'token.key'), 'utf8').trim(), 'hex');
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: 'der', type: 'pkcs8' });
  const signed = `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`;
}

test('a connection ends with its token, unless a newer one came', { timeout: 60000 }, () => withServer({}, async (server) => {
  const ann = await server.account('ann');
  const second = Math.floor(Date.now() / 1000) + 3;
  const short = endingAt(server, ann.token, second);
  const [ends, renews, visitor] = [await Client.connect(server, { token: short }), await Client.connect(server, { token: short }),
    await Client.connect(server)];
  await Promise.all([ends, renews, visitor].map((client) => client.good({ do: 'ping' })));
  assert.equal((await renews.good({ do: 'auth', token: ann.token })).user, ann.id);
  assert.equal(ends.closed, null, 'not before its time');
  await until(() => ends.closed !== null, 'it ends');
  assert.equal(ends.closed, 4001);
  const lateMs = Date.now() - second * 1000;
  assert.ok(lateMs >= 0 && lateMs < 5000, `${lateMs} ms after its end`);
  await renews.good({ do: 'ping' });
  assert.deepEqual([renews.closed, visitor.closed], [null, null]);
  await Promise.all([renews, visitor].map((client) => client.close()));
}));

test('a client that answers no ping is closed, one that does is not', () => withServer(
  { 'ping-ms': 200, 'pong-ms': 300 }, async (server) => {
    const dead = await Client.connect(server, null, { autoPong: false });
    const alive = await Client.connect(server);
    await Promise.all([dead, alive].map((client) => client.good({ do: 'ping' })));
    await until(() => dead.closed !== null, 'the dead one is closed');
    assert.equal(dead.closed, 4202);
    assert.equal(alive.closed, null);
    await alive.good({ do: 'ping' });
    await alive.close();
  }));

test('a head that comes byte by byte does not hold a connection', () => withServer(
  { 'head-timeout-ms': 600 }, async (server) => {
    const socket = connect(server.port, '127.0.0.1');
    await once(socket, 'connect');
    let isOver = false;
    let answer = '';
    socket.on('data', (bytes) => { answer += bytes; });
    socket.on('error', () => {});
    socket.on('close', () => { isOver = true; });
    const drip = setInterval(() => socket.write('X'), 20); // the deadline is for the whole head
    socket.write('GET /health HTTP/1.1\r\n');
    await until(() => isOver, 'the slow one is cut off').finally(() => clearInterval(drip));
    assert.match(answer, /^(HTTP\/1\.1 408 .*)?$/s);
    assert.equal(await server.status('/health'), 200);
  }));

test('a connection kept alive without a request is closed', () => withServer(
  { 'keep-alive-ms': 500 }, async (server) => {
    const socket = connect(server.port, '127.0.0.1');
    await once(socket, 'connect');
    const over = once(socket, 'close');
    let answer = '';
    socket.on('data', (bytes) => { answer += bytes; });
    socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    await over;
    assert.match(answer, /^HTTP\/1\.1 200 /);
  }));
