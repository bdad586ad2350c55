// The end of an auction: late bids extend it, then it closes for everybody alike.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Client } from './client.mjs';
import { withServer } from './kit.mjs';

test('a late bid extends, then the auction closes', () => withServer({}, async (server) => {
  const [seller, ann, bob] = await Promise.all(['seller', 'ann', 'bob'].map((n) => server.account(n)));
  const auction = await server.auction(seller, {
    duration_ms: 1500, soft_close: { window_ms: 1500, extend_ms: 1500, max_extensions: 2 },
  });
  const [a, b] = [await Client.connect(server, ann), await Client.connect(server, bob)];
  const { state } = await a.good({ do: 'watch', auction });
  const first = await a.bid(auction, 1000, 'a1');
  assert.equal(first.verdict, 'leading');
  const second = await b.bid(auction, 5000, 'b1');
  assert.ok(second.ends_at_ms > state.ends_at_ms, 'the bid of a non-leader extends');
  assert.ok(second.ends_at_ms >= first.ends_at_ms);
  const raise = await b.bid(auction, 6000, 'b2');
  assert.deepEqual([raise.verdict, raise.ends_at_ms], ['raised', second.ends_at_ms]);
  const extended = await a.push('update', (u) => u.seq === raise.seq);
  assert.equal(extended.extensions, 2);

  const end = await a.push('update', (u) => u.status === 'sold');
  assert.deepEqual([end.outcome, end.final_price, end.winner, end.minimum], ['high_bid', 1050, raise.label, null]);
  assert.ok(end.now_ms >= second.ends_at_ms, 'not before its end');
  const won = await b.push('won');
  assert.deepEqual([won.auction, won.price, won.currency], [auction, 1050, 'USD']);
  assert.equal(a.pushes.some((p) => p.on === 'won'), false);
  assert.equal((await a.bid(auction, 9000, 'late')).error.code, 'ended');
  assert.equal((await server.state(auction)).status, 'sold');
  await Promise.all([a.close(), b.close()]);
}));

test('without bids it ends unsold, and an end missed while down comes at the start', () => withServer({}, async (server) => {
  const seller = await server.account('seller');
  const watcher = await Client.connect(server);
  const first = await server.auction(seller, { duration_ms: 500, soft_close: null });
  await watcher.good({ do: 'watch', auction: first });
  const end = await watcher.push('update', (u) => u.status === 'unsold');
  assert.deepEqual([end.outcome, end.winner, end.final_price], ['no_bids', null, null]);
  const second = await server.auction(seller, { duration_ms: 1000, soft_close: null });
  await server.kill();
  await server.run();
  const client = await Client.connect(server);
  const { state } = await client.good({ do: 'watch', auction: second });
  // It ended while the server was down, if that took long: then it has 30 seconds more.
  if (state.status !== 'unsold') await client.push('update', (u) => u.auction === second && u.status === 'unsold', 60000);
  await client.close();
}));
