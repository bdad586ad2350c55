// Bidders see each other; who was away gets exactly what was missed; a key counts once.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Client } from './client.mjs';
import { withServer } from './kit.mjs';

test('two clients see each other\'s bids', () => withServer({}, async (server) => {
  const [seller, ann, bob] = await Promise.all(['seller', 'ann', 'bob'].map((n) => server.account(n)));
  const auction = await server.auction(seller);
  const [a, b] = [await Client.connect(server, ann), await Client.connect(server, bob)];
  const { state, you } = await a.good({ do: 'watch', auction });
  await b.good({ do: 'watch', auction });
  assert.deepEqual([state.price, state.minimum, state.bids, state.status], [null, 100, 0, 'open']);
  assert.match(you.label, /^[A-Z0-9]{5}$/);

  const first = await a.bid(auction, 1000, 'a1');
  assert.deepEqual([first.verdict, first.price, first.bids], ['leading', 100, 1]);
  const seen = await b.push('update', (u) => u.seq === first.seq);
  assert.deepEqual([seen.price, seen.leader, seen.bids, seen.last.kind], [100, you.label, 1, 'bid']);
  assert.ok(seen.dur >= seen.seq, 'nothing is shown that is not durable');

  const second = await b.bid(auction, 2000, 'b1');
  assert.deepEqual([second.verdict, second.price], ['leading', 1050]); // 1000 and a step of 50
  const beaten = await a.push('outbid');
  assert.deepEqual([beaten.auction, beaten.price, beaten.seq], [auction, 1050, second.seq]);
  const update = await a.push('update', (u) => u.seq === second.seq);
  assert.notEqual(update.leader, you.label);
  assert.equal(JSON.stringify(a.pushes).includes('2000'), false, 'a live maximum is nobody\'s business');

  const third = await a.bid(auction, 1500, 'a2');
  assert.deepEqual([third.verdict, third.price], ['outbid', 1550]);
  await b.push('update', (u) => u.seq === third.seq && u.price === 1550);
  await Promise.all([a.close(), b.close()]);
}));

test('who was away in a storm of bids gets every event once, in order', () => withServer(
  { 'bids-per-minute': 200, 'messages-burst': 1000 }, async (server) => {
    const [seller, ann, bob] = await Promise.all(['seller', 'ann', 'bob'].map((n) => server.account(n)));
    const auction = await server.auction(seller);
    const bidders = [await Client.connect(server, ann), await Client.connect(server, bob)];
    let watcher = await Client.connect(server);
    const bid = (i) => bidders[i % 2].bid(auction, 10000 + i * 20000, `k${i}`);

    await watcher.good({ do: 'watch', auction });
    for (let i = 0; i < 10; i++) assert.equal((await bid(i)).ok, true);
    const { epoch, seq } = (await watcher.push('update', (u) => u.bids === 10));
    await watcher.cut();

    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => bid(10 + i)));
    watcher = await Client.connect(server);
    const back = await watcher.good({ do: 'watch', auction, epoch, seq });
    assert.equal(back.result, 'missed');
    const seen = back.missed.map((e) => e.seq);
    const accepted = answers.filter((a) => a.ok).map((a) => a.seq).sort((x, y) => x - y);
    assert.deepEqual(seen, accepted);
    assert.equal(back.state.seq, Math.max(...answers.map((a) => a.seq ?? a.error.seq ?? 0)));
    const counts = back.missed.map((e) => e.bids);
    assert.deepEqual(counts, counts.map((_, i) => 11 + i), 'no bid is missing or twice');

    const next = await bid(110);
    await watcher.push('update', (u) => u.seq === next.seq);
    const old = await watcher.good({ do: 'watch', auction, epoch: epoch + 5, seq });
    assert.equal(old.result, 'snapshot', 'a position of another epoch is none');
    await Promise.all([...bidders, watcher].map((c) => c.close()));
  }));

test('a key gives its first answer over any connection', () => withServer({}, async (server) => {
  const [seller, ann] = await Promise.all(['seller', 'ann'].map((n) => server.account(n)));
  const auction = await server.auction(seller);
  let client = await Client.connect(server, ann);
  const first = await client.bid(auction, 1000, 'same');
  await client.cut();
  client = await Client.connect(server, ann);
  const again = await client.bid(auction, 1000, 'same');
  assert.deepEqual([again.verdict, again.seq, again.price], [first.verdict, first.seq, first.price]);
  const http = await server.request('POST', `/api/auctions/${auction}/bids`,
    { token: ann.token, key: 'same', body: { max: 1000, currency: 'USD' } });
  assert.deepEqual([http.status, http.body.seq], [200, first.seq]);
  assert.equal((await client.bid(auction, 1100, 'same')).error.code, 'key_reused');

  // Whether a bid cut off in flight arrived is not known; resolve settles it for good.
  client.bid(auction, 5000, 'flight').catch(() => {});
  await client.cut();
  client = await Client.connect(server, ann);
  const resolved = await client.good({ do: 'resolve', auction, key: 'flight' });
  assert.ok(['raised', 'void'].includes(resolved.verdict), resolved.verdict);
  const repeated = await client.ask({ do: 'bid', auction, max: 5000, currency: 'USD', key: 'flight' });
  assert.equal(repeated.verdict, resolved.verdict);
  const never = await client.good({ do: 'resolve', auction, key: 'never-sent' });
  assert.equal(never.verdict, 'void');
  assert.equal((await client.bid(auction, 9000, 'never-sent')).verdict, 'void');
  const { bids } = await server.state(auction);
  assert.equal(bids, resolved.verdict === 'raised' ? 2 : 1);
  await client.close();
}));
