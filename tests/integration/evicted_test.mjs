// An auction that is over leaves the memory after `over_keep_ms`; the store answers from then on.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from './client.mjs';
import { until, withServer } from './kit.mjs';

test('a key keeps its first answer after its auction left the memory', () => withServer({ 'over-keep-ms': 1000 }, async (server) => {
  const [seller, ann] = await Promise.all(['seller', 'ann'].map((n) => server.account(n)));
  const auction = await server.auction(seller, { duration_ms: 1000, soft_close: null });
  const client = await Client.connect(server, ann);
  await client.good({ do: 'watch', auction });
  const first = await client.bid(auction, 5000, 'k1');
  const low = await client.bid(auction, 5000, 'k2');
  assert.equal(low.error.code, 'not_above_own_max');
  await client.push('update', (u) => u.status === 'sold');

  // Out of memory: a watch gives the archived state, and no events are kept for it.
  let missed;
  do {
    await delay(1100); // The rate limit on positions lets one a second through.
    ({ missed } = await client.good({ do: 'watch', auction, epoch: first.epoch, seq: first.seq }));
  } while (missed !== undefined);
  const again = await client.bid(auction, 5000, 'k1');
  assert.deepEqual([again.verdict, again.seq, again.price], ['leading', first.seq, first.price]);
  assert.equal((await client.bid(auction, 6000, 'k1')).error.code, 'key_reused');
  assert.equal((await client.bid(auction, 9000, 'k3')).error.code, 'ended');
  assert.equal((await client.ask({ do: 'resolve', auction, key: 'k1' })).verdict, 'leading');
  assert.equal((await client.ask({ do: 'resolve', auction, key: 'never' })).verdict, 'void');
  assert.equal((await client.bid('0000000000001', 9000, 'k4')).error.code, 'unknown_auction');
  assert.equal((await server.state(auction)).status, 'sold');
  await client.close();
}));

test('a store that is too busy to look denies no auction', () => withServer(
  { 'over-keep-ms': 1000, 'outbox-bytes-max': 1048576, 'store-threads': 1, 'store-jobs-max': 16, 'messages-burst': 5000, 'messages-per-second': 5000 },
  async (server) => {
    const seller = await server.account('seller');
    const auction = await server.auction(seller, { duration_ms: 1000, soft_close: null });
    const client = await Client.connect(server);
    await until(async () => (await server.state(auction)).status === 'unsold', 'it is over');
    // Memory has it for a second more; then every watch asks the store.
    let codes = [];
    while (!codes.includes('busy')) {
      const answers = await Promise.all(Array.from({ length: 1000 }, () => client.ask({ do: 'watch', auction })));
      codes = answers.map((answer) => (answer.ok ? 'ok' : answer.error.code));
      assert.deepEqual([...new Set(codes)].filter((code) => code !== 'ok' && code !== 'busy'), []);
      assert.ok(answers.every((answer) => answer.ok || (answer.error.temporary && answer.error.retry_after_ms > 0)));
      await delay(250); // Within the message rate.
    }
    await client.close();
  }));
