// An auction whose record cannot be trusted takes no more bids; all others go on, also after a start.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Client } from './client.mjs';
import { until, withServer } from './kit.mjs';

const MINUTE_MS = 60000;

// Two auctions with a bid in each that is archived; `bad` is the number of the first in the database.
async function twoAuctions(server) {
  const [seller, ann] = await Promise.all(['seller', 'ann'].map((name) => server.account(name)));
  const a = await server.auction(seller, { title: 'bad' });
  const b = await server.auction(seller, { title: 'good' });
  const client = await Client.connect(server, ann);
  for (const auction of [a, b]) assert.equal((await client.bid(auction, 500, 'k1')).verdict, 'leading');
  await until(() => server.rows('SELECT count(*) AS n FROM entries')[0].n === 4, 'archived');
  const [{ id: bad }] = server.rows("SELECT CAST(id AS TEXT) AS id FROM auctions WHERE title = 'bad'");
  return { seller, ann, a, b, client, bad };
}

async function expectHalted(server, { seller, ann, a, b }, key) {
  const client = await Client.connect(server, ann);
  for (const command of [{ do: 'bid', max: 5000, currency: 'USD', key }, { do: 'resolve', key: 'k1' }]) {
    const error = await client.refused({ ...command, auction: a }, 'halted');
    assert.equal(error.temporary, true);
    assert.ok(error.retry_after_ms >= MINUTE_MS);
    assert.match(error.message, /halted by the operator: nothing that you sent now was counted/);
  }
  for (const [what, body] of [['bids', { max: 5000, currency: 'USD' }], ['pause', {}]]) {
    const answer = await server.request('POST', `/api/auctions/${a}/${what}`, { token: what === 'bids' ? ann.token : seller.token, key, body });
    assert.deepEqual([answer.status, answer.body.code, answer.headers.get('retry-after')], [503, 'halted', '60'], what);
  }
  assert.equal((await client.good({ do: 'bid', auction: b, max: 9000 + Number(key.slice(1)) * 1000, currency: 'USD', key })).verdict, 'raised', 'the other goes on');
  assert.match((await server.request('GET', '/metrics')).body, /^quickbid_auctions_halted 1$/m);
  assert.match(server.log, /"level":"error","event":"auction\.halted"/);
  await client.close();
}

test('a conflict in the archive halts its auction at once, and after a crash', () => withServer({}, async (server) => {
  const all = await twoAuctions(server);
  // The place of the next bid is taken by something else.
  server.tamper(`INSERT INTO entries SELECT auction, 3, x'ff', bytes, verdict, chain FROM entries WHERE auction = ${all.bad} AND seq = 2`);
  await all.client.bid(all.a, 700, 'k2'); // acknowledged: the archive comes after
  await until(() => server.log.includes('auction.halted'), 'halted');
  await all.client.refused({ do: 'preview', auction: all.a, max: 9000, currency: 'USD' }, 'halted');
  await expectHalted(server, all, 'k3');
  const { status, seq } = await server.state(all.a);
  assert.deepEqual([status, seq], ['open', 3], 'it can be looked at');
  assert.deepEqual(server.rows('SELECT seq FROM conflicts').map((row) => row.seq), [3], 'no later bid ended beside the record');
  for (const key of ['k4', 'k5']) {
    await server.kill();
    await server.run();
    await expectHalted(server, all, key);
  }
  await all.client.close();
}));

test('a conflict alone keeps its auction halted until a person has looked', () => withServer({}, async (server) => {
  const all = await twoAuctions(server);
  await all.client.close();
  await server.kill();
  server.tamper(`INSERT INTO conflicts (auction, seq, bytes, seen_us) VALUES (${all.bad}, 9, x'00', 1)`);
  await server.run();
  await expectHalted(server, all, 'k2');
  await server.kill();
  server.tamper('DELETE FROM conflicts');
  await server.run();
  const client = await Client.connect(server, all.ann);
  assert.equal((await client.bid(all.a, 9000, 'k3')).verdict, 'raised');
  await client.close();
}));

for (const [what, sql] of [
  ['state', "UPDATE auctions SET state = x'00' WHERE title = 'bad'"],
  ['entry', "DROP TRIGGER entries_stay; UPDATE entries SET bytes = x'00' WHERE seq = 2 AND auction = (SELECT id FROM auctions WHERE title = 'bad')"],
  ['verdict', "DROP TRIGGER entries_stay; UPDATE entries SET verdict = x'00' WHERE seq = 2 AND auction = (SELECT id FROM auctions WHERE title = 'bad')"],
]) {
  test(`an unreadable ${what} halts its auction at the start, and no other`, () => withServer({}, async (server) => {
    const all = await twoAuctions(server);
    await all.client.close();
    await server.kill();
    server.tamper(sql);
    await server.run();
    await expectHalted(server, all, 'k2');
    const { auctions } = await server.call('GET', '/api/me/bids', { token: all.ann.token });
    assert.equal(auctions.length, 2, 'own pages show it');
    await server.kill();
    await server.run();
    await expectHalted(server, all, 'k3');
  }));
}

test('an unreadable state with entries still to be archived does not stop the start', () => withServer({}, async (server) => {
  const all = await twoAuctions(server);
  await all.client.close();
  await server.kill();
  server.tamper(`UPDATE auctions SET state = x'00' WHERE title = 'bad';
    INSERT INTO journal (auction, seq, epoch, bytes) SELECT auction, 3, 1, bytes FROM entries WHERE seq = 2`);
  await server.run();
  const [{ n }] = server.rows(`SELECT count(*) AS n FROM conflicts WHERE auction = ${all.bad}`);
  assert.equal(n, 1, 'kept beside');
  assert.equal(server.rows('SELECT count(*) AS n FROM journal')[0].n, 0);
}));
