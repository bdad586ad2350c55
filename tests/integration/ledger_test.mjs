// What an outsider can check of an auction: the chain of its ledger, with no secret in it.
import assert from 'node:assert/strict';
import test from 'node:test';
import { broken } from './chain.mjs';
import { until, withServer } from './kit.mjs';

const bid = (server, who, auction, max, key) => server.request(
  'POST', `/api/auctions/${auction}/bids`, { token: who.token, key, body: { max, currency: 'USD' } });

// An auction with accepted and refused bids, a raise, a pause and an end; once all is archived.
async function withAuction(body) {
  await withServer({}, async (server) => {
    const [seller, ann, bob] = await Promise.all(['seller', 'ann', 'bob'].map((name) => server.account(name)));
    const auction = await server.auction(seller, { reserve: 76543 });
    await bid(server, ann, auction, 34567, 'a1');
    await bid(server, bob, auction, 23456, 'b1');
    await bid(server, ann, auction, 45678, 'a2');
    for (const what of ['pause', 'resume', 'cancel']) {
      await server.call('POST', `/api/auctions/${auction}/${what}`, { token: seller.token });
    }
    const { seq } = await server.state(auction);
    const entries = await until(async () => {
      const archived = await server.ledger(auction);
      return archived.length === seq && archived;
    }, 'all is archived');
    await body({ server, auction, entries, ann, bob });
  });
}

test('the chain of a ledger can be checked by anybody, and no change goes unseen', () => withAuction(async ({ entries }) => {
  assert.equal(broken(entries), null);
  assert.deepEqual(entries.map(({ seq }) => seq), entries.map((_, index) => index + 1));
  for (const member of ['form', 'result']) {
    const changed = structuredClone(entries);
    changed[2][member] = changed[2][member].replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
    assert.equal(broken(changed), 3, `another ${member}`);
  }
  assert.equal(broken([...entries.slice(0, 2), ...entries.slice(3)]), 4, 'one left out');
}));

test('the ledger tells neither who bid nor how much', () => withAuction(async ({ server, auction, entries, ann, bob }) => {
  const all = entries.map(({ form, result }) => form + result).join();
  for (const amount of [76543, 34567, 23456, 45678]) {
    const little = Buffer.alloc(8);
    little.writeBigInt64LE(BigInt(amount));
    assert.ok(!all.includes(little.toString('hex')), `${amount} is in it`);
  }
  const shown = JSON.stringify(entries.map(({ verdict }) => verdict));
  for (const who of [ann, bob]) assert.ok(!shown.includes(who.id), `${who.id} is in it`);
  const maxima = (await server.bids(auction)).map(({ max }) => max ?? null);
  assert.deepEqual(maxima, [null, 23456, null], 'a maximum is history once beaten, never the leader\'s');
}));
