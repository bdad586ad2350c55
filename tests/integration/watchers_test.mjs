// How many watch an auction: over WebSocket, event streams and HTTP, told when it changes and not with
// every coming and going.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Client } from './client.mjs';
import { EventStream } from './events.mjs';
import { until, withServer } from './kit.mjs';

const THREADS = 2; // an auction's home is one of them, its watchers are on both

test('everybody who watches is counted, on every thread', async () => {
  await withServer({ threads: THREADS }, async (server) => {
    const seller = await server.account('seller');
    const auction = await server.auction(seller);
    const other = await server.auction(seller);
    assert.equal((await server.state(auction)).watchers, 0, 'nobody yet');
    const clients = [];
    for (let i = 0; i < 12; i++) clients.push(await Client.connect(server));
    await Promise.all(clients.map((client) => client.good({ do: 'watch', auction })));
    const stream = await EventStream.open(server, auction);
    await clients[0].good({ do: 'watch', auction: other });
    for (const client of clients) {
      const push = await client.push('watchers', (p) => p.auction === auction && p.watchers === 13);
      assert.deepEqual(push, { on: 'watchers', auction, watchers: 13 });
    }
    await stream.event('watchers', (e) => e.watchers === 13);
    await clients[0].push('watchers', (p) => p.auction === other && p.watchers === 1);
    assert.equal((await server.state(auction)).watchers, 13, 'HTTP says the same');
    assert.equal((await clients[1].good({ do: 'watch', auction: other })).state.watchers, 1, 'and so does a snapshot');
    const told = clients[2].pushes.filter((p) => p.on === 'watchers').length;
    assert.ok(told <= 6, `one push for many who come: ${told}`);

    await clients.pop().close();
    await clients.pop().good({ do: 'unwatch', auction });
    await clients[0].push('watchers', (p) => p.auction === auction && p.watchers === 11);
    const answer = await (async () => {
      const bidder = await Client.connect(server, await server.account('bidder'));
      return bidder.bid(auction, 5000, 'first');
    })();
    assert.equal(answer.verdict, 'leading');
    assert.equal((await clients[0].push('update', (p) => p.seq === answer.seq)).watchers, 11, 'an update says it as well');
    await stream.close();
    for (const client of clients) await client.close();
    await until(async () => (await server.state(auction)).watchers === 0, 'nobody any more');
  });
});
