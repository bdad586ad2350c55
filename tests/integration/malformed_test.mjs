// The table of malformed.mjs against the real server, which still serves afterwards.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Client } from './client.mjs';
import { withServer } from './kit.mjs';
import { FRAMES, MESSAGES, REQUESTS } from './malformed.mjs';
import { exchange, framesOf, handshake, maskedText } from './raw.mjs';

async function checkFrames(server) {
  const failures = [];
  for (const [what, bytes, code] of FRAMES) {
    const isClosed = (got) => framesOf(got).some((f) => f.opcode === 8);
    const got = await exchange(server.port, [handshake(), bytes], isClosed);
    const last = framesOf(got).find((f) => f.opcode === 8);
    const seen = last && last.payload.length >= 2 ? last.payload.readUInt16BE(0) : null;
    if (seen !== code) failures.push(`${what}: close ${seen}, not ${code}`);
  }
  return failures;
}

async function checkMessages(server, auction, token) {
  const failures = [];
  for (const [what, text, code, id] of MESSAGES) {
    // A visitor is refused before its command is judged, and heard little before its first one.
    const isVisitor = code === 'login_required';
    const hello = isVisitor ? [] : [maskedText(JSON.stringify({ id: 9, do: 'auth', token }))];
    const isDone = (got) => framesOf(got).length > hello.length;
    const message = maskedText(text.replace('AUCTION', auction));
    const frames = framesOf(await exchange(server.port, [handshake(), ...hello, message], isDone));
    const frame = frames[hello.length];
    const answer = frame && frame.opcode === 1 ? JSON.parse(frame.payload) : { close: frame?.payload.toString('hex') };
    if (answer.ok !== false || answer.error.code !== code || answer.id !== id) {
      failures.push(`${what}: ${JSON.stringify(answer)}, not ${code} for ${id}`);
    }
  }
  return failures;
}

async function checkRequests(server, auction) {
  const failures = [];
  for (const [what, bytes, status, code] of REQUESTS) {
    const got = (await exchange(server.port, [bytes.replace('AUCTION', auction)], (b) => b.includes('\r\n\r\n{'))).toString();
    const seen = Number(got.slice(9, 12));
    const problem = /"code":"([^"]*)"/.exec(got)?.[1];
    if (seen !== status || problem !== code) failures.push(`${what}: ${seen} ${problem}, not ${status} ${code}`);
    else if (!/application\/problem\+json/.test(got)) failures.push(`${what}: no problem document`);
  }
  return failures;
}

test('frames right behind the handshake are taken in their order', () => withServer(
  { 'connections-per-address': 10000, 'handshakes-per-second': 10000 }, async (server) => {
    // Longer than one read of the server, so that a part of them is still on its way.
    const pings = Array.from({ length: 30 }, (_, i) => maskedText(`{"id":${i + 1},"do":"ping"${' '.repeat(3000 - i)}}`));
    pings[0] = maskedText('{"id":1,"do":"ping"}');
    const run = async () => {
      const isDone = (got) => framesOf(got).length >= pings.length;
      const frames = framesOf(await exchange(server.port, [handshake(), ...pings], isDone));
      const seen = frames.map((f) => (f.opcode === 8 ? `close ${f.payload.readUInt16BE(0)}` : JSON.parse(f.payload).id));
      assert.deepEqual(seen, pings.map((_, i) => i + 1));
    };
    for (let i = 0; i < 50; i++) await Promise.all([run(), run(), run(), run()]);
  }));

test('what a page meets in ordinary use leaves the connection open, all else closes it', () => withServer({}, async (server) => {
  const second = 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
  const post = (path, ...lines) => ['POST ' + path + ' HTTP/1.1', 'Host: x', ...lines, '', ''].join('\r\n');
  const rows = [
    [401, true, 'GET /api/me HTTP/1.1\r\nHost: x\r\n\r\n'],
    [404, true, 'GET /api/nothing HTTP/1.1\r\nHost: x\r\n\r\n'],
    [400, false, 'GET /api/auctions?limit=0 HTTP/1.1\r\nHost: x\r\n\r\n'],
    [405, false, post('/api/time', 'Content-Length: 0')],
    [415, false, post('/api/users', 'Content-Length: 2') + '{}'],
    [501, false, post('/api/users', 'Transfer-Encoding: chunked') + '0\r\n\r\n'],
    [404, false, handshake({ line: 'GET /elsewhere HTTP/1.1' })],
  ];
  for (const [status, isOpen, request] of rows) {
    const got = (await exchange(server.port, [request + second], () => false)).toString();
    const answers = got.match(/HTTP\/1\.1 \d+/g);
    assert.deepEqual(answers, [`HTTP/1.1 ${status}`, ...(isOpen ? ['HTTP/1.1 200'] : [])], request);
    assert.equal(/Connection: keep-alive/.test(got), isOpen, request);
  }
}));

test(`${FRAMES.length + MESSAGES.length + REQUESTS.length} malformed inputs, each with its exact answer`,
  { timeout: 240000 }, () => withServer({ 'connections-per-address': 1000, 'connections-per-user': 1000 }, async (server) => {
    assert.ok(FRAMES.length + MESSAGES.length + REQUESTS.length >= 100);
    const [seller, ann] = await Promise.all(['seller', 'ann'].map((n) => server.account(n)));
    const auction = await server.auction(seller);
    const failures = [
      ...await checkFrames(server), ...await checkMessages(server, auction, ann.token),
      ...await checkRequests(server, auction),
    ];
    assert.deepEqual(failures, []);

    const client = await Client.connect(server, ann);
    assert.equal((await client.bid(auction, 1000, 'after')).verdict, 'leading', 'the server still serves');
    await client.close();
  }));
