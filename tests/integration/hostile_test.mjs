// What no good client sends, and exactly how the server answers it: requests by the rules of
// docs/protocol.md and RFC 9112, frames by the chapters of the Autobahn suite, messages by
// ws/protocol.def. Afterwards the server serves as before and holds no connection.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { frames, messages, requests } from './hostile_rows.mjs';
import { Server, until } from './kit.mjs';
import { CLOSE, PING, PONG, RawSocket, TEXT, closeFrame, frame, handshake } from './raw.mjs';

const MARK = 'still there?';
let server;

before(async () => {
  server = await Server.start({ threads: 2 });
});

after(() => server.stop()); // which a sanitizer's finding would not let end with 0

function codeOf({ status, fields, body }) {
  const isProblem = fields['content-type'] === 'application/problem+json';
  return isProblem ? `${status} ${JSON.parse(body).code}` : String(status);
}

// What a request is answered with, and whether the connection serves another one after it.
async function askRaw(bytes, expected) {
  const raw = await RawSocket.open(server.port);
  const seen = [];
  try {
    for (const part of [bytes].flat()) raw.send(part);
    if (!expected.endsWith('close')) raw.send('GET /api/time HTTP/1.1\r\nHost: a\r\n\r\n');
    for (;;) {
      const response = await raw.response();
      if (response === null) return [...seen, 'close'].join(', ');
      if (response.body.startsWith('{"now_ms":')) return [...seen, 'open'].join(', ');
      seen.push(codeOf(response));
      if (response.status === 101) return seen.join(', ');
    }
  } catch (error) {
    return [...seen, error.message].join(', ');
  } finally {
    raw.close();
  }
}

function tell({ opcode, payload }) {
  if (opcode === CLOSE) return `close ${payload.readUInt16BE(0)}`;
  if (opcode === PING) return 'ping';
  if (opcode === PONG) return `pong ${payload.toString('latin1')}`.trim();
  if (opcode !== TEXT) return `opcode ${opcode}`;
  const message = JSON.parse(payload.toString());
  return message.ok ? `ok ${message.id}` : `${message.error.code} ${JSON.stringify(message.id)}`;
}

// All that the server says to `parts` after a handshake: its frames, in order. Once as many came as
// are expected, a ping shows that nothing more did; a close must be followed by the end.
async function speakRaw(parts, expected) {
  const raw = await RawSocket.open(server.port);
  const seen = [];
  const count = expected === '' ? 0 : expected.split(', ').length;
  try {
    raw.send(handshake());
    assert.equal((await raw.response())?.status, 101);
    for (const part of parts) raw.send(part);
    for (;;) {
      if (seen.length === count) raw.send(frame(PING, MARK));
      const next = await raw.frame();
      if (next === null) return [...seen, 'end without close'].join(', ');
      if (next.opcode === PONG && next.payload.toString() === MARK) return seen.join(', ');
      seen.push(tell(next));
      if (next.opcode !== CLOSE) continue;
      raw.send(closeFrame(1000));
      await raw.ended();
      return seen.join(', ');
    }
  } catch (error) {
    return [...seen, error.message].join(', ');
  } finally {
    raw.close();
  }
}

describe('requests', () => {
  for (const [number, name, bytes, expected] of requests) {
    test(`${number} ${name}`, async () => assert.equal(await askRaw(bytes, expected), expected));
  }
});

describe('frames', () => {
  for (const [number, name, parts, expected] of frames) {
    test(`${number} ${name}`, async () => assert.equal(await speakRaw(parts, expected), expected));
  }
});

describe('messages', () => {
  for (const [number, name, text, expected] of messages) {
    test(`${number} ${name}`, async () => {
      assert.equal(await speakRaw([frame(TEXT, text)], expected), expected);
    });
  }
});

describe('afterwards', () => {
  test('an untrusted tunnel carries no second request', async () => {
    const raw = await RawSocket.open(server.port);
    raw.send(handshake({ without: ['Sec-WebSocket-Version'], also: ['Sec-WebSocket-Version: 777'] }));
    raw.send('GET /health HTTP/1.1\r\nHost: a\r\n\r\n');
    const refused = await raw.response();
    assert.equal(refused.status, 426);
    assert.equal(refused.fields['sec-websocket-version'], '13');
    assert.equal(refused.fields.connection, 'close');
    assert.equal(await raw.response(), null, 'the smuggled request gets no answer');
    raw.close();
  });

  test('answers wait for a client that does not read, and none is lost', async () => {
    const count = 2800; // of some 14 kB: more than the kernel keeps
    const raw = await RawSocket.open(server.port);
    raw.socket.pause();
    for (let i = 1; i < count; i++) {
      raw.send('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n');
      if (i % 20 === 0) await server.status('/health'); // in many reads of the server
    }
    raw.send('GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    assert.equal(await server.status('/health'), 200);
    let seen = 0;
    let tail = Buffer.alloc(0);
    raw.socket.removeAllListeners('data').on('data', (bytes) => {
      const text = Buffer.concat([tail, bytes]);
      for (let at = -1; (at = text.indexOf('HTTP/1.1 200', at + 1)) >= 0;) seen++;
      tail = Buffer.from(text.subarray(-11));
    });
    raw.socket.resume();
    assert.equal(await raw.ended(), true);
    assert.equal(seen, count);
    assert.equal(tail.toString().endsWith('\n'), true, 'the last is whole');
    raw.close();
  });

  test('requests that come behind a slow one are held back, and answered in order', async () => {
    const raw = await RawSocket.open(server.port);
    const body = '{"email":"slow@test.example","password":"correct horse battery"}';
    const padding = `X: ${'a'.repeat(7000)}\r\n`;
    raw.send(`POST /api/users HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    for (let i = 0; i < 60; i++) {
      const slow = i % 2 === 0 ? '/api/auctions' : '/health';
      raw.send(`GET ${slow} HTTP/1.1\r\nHost: a\r\n${padding}${padding}\r\n`);
    }
    const statuses = [];
    while (statuses.length < 61) statuses.push((await raw.response())?.status);
    assert.deepEqual(statuses, [201, ...Array(60).fill(200)]);
    raw.close();
  });

  test('the server serves', async () => {
    assert.equal(await server.status('/health'), 200);
    assert.equal(await speakRaw([frame(TEXT, '{"id":1,"do":"ping"}')], 'ok 1'), 'ok 1');
  });

  test('no connection is left', async () => {
    const open = async (kind) => {
      const answer = await fetch(server.url('/metrics'), { headers: { connection: 'close' } });
      const text = await answer.text();
      return Number(new RegExp(`^quickbid_connections\\{kind="${kind}"\\} (\\d+)$`, 'm').exec(text)[1]);
    };
    let seen;
    await until(async () => {
      seen = [await open('http'), await open('websocket')];
      return seen[0] === 1 && seen[1] === 0; // the one that asks is open
    }, () => `one HTTP connection and no WebSocket: ${seen}`);
  });
});
