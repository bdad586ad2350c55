// A socket that takes no byte for `stalled_ms` is closed, long before its answers fill the outbox.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import test from 'node:test';
import { Client } from './client.mjs';
import { until, withServer } from './kit.mjs';
import { handshake, maskedText } from './raw.mjs';

const OUTBOX_BYTES_MAX = 1048576;
const ENOUGH_BYTES = 65536; // more than any moment of a full socket would leave behind
const PINGS = Buffer.concat(Array.from({ length: 300 }, (_, i) => maskedText(`{"id":${i + 1},"do":"ping"}`)));

async function metric(server, pattern) {
  const { body } = await server.request('GET', '/metrics');
  return Number(pattern.exec(body)?.[1] ?? 0);
}

test('a stalled socket is closed, its neighbour is served', { timeout: 60000 }, () => withServer(
  { 'messages-per-second': 100000, 'messages-burst': 100000, 'outbox-bytes-max': OUTBOX_BYTES_MAX, 'stalled-ms': 1500 },
  async (server) => {
    const socket = connect(server.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.on('error', () => {});
    socket.pause();
    socket.write(handshake());
    // Asks until the kernel takes no more of the answers; from there on the server's socket is blocked.
    const waiting = () => metric(server, /^\w*outbox_bytes (\d+)/m);
    await until(async () => {
      socket.write(PINGS);
      return (await waiting()) >= ENOUGH_BYTES;
    }, 'answers that wait');
    assert.ok((await waiting()) < OUTBOX_BYTES_MAX / 2, 'it is not the outbox that ends it');
    const neighbour = await Client.connect(server);
    await neighbour.good({ do: 'ping' });
    await until(async () => await metric(server, /sessions_closed_total\{[^}]*"slow_reader"[^}]*\} (\d+)/) === 1, 'it is closed as a slow reader');
    assert.equal(await waiting(), 0, 'what waited for it is forgotten');
    await neighbour.good({ do: 'ping' });
    socket.destroy();
    await neighbour.close();
  }));
