// One request to publish makes one auction, however often it is sent and whatever crashes.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { Client } from './client.mjs';
import { until, withServer } from './kit.mjs';

const HOUR_MS = 3600000;
const BODY = { title: 'A watch', description: 'It works.', category: 'other', currency: 'USD', start_price: 100, duration_ms: HOUR_MS };

const publish = (server, who, key, body = BODY) => server.request('POST', '/api/auctions', { token: who.token, key, body });

test('the same key of the same seller is the same auction', () => withServer({}, async (server) => {
  const [seller, other] = await Promise.all(['seller', 'other'].map((name) => server.account(name)));
  const answers = await Promise.all(Array.from({ length: 6 }, () => publish(server, seller, 'k1')));
  for (const { status, body } of answers) assert.equal(status, 201, JSON.stringify(body));
  const { id } = answers[0].body.auction;
  assert.deepEqual([...new Set(answers.map(({ body }) => body.auction.id))], [id]);
  assert.equal(answers[5].headers.get('location'), `/api/auctions/${id}`);
  assert.equal(server.rows('SELECT count(*) AS n FROM auctions')[0].n, 1);

  const changed = await publish(server, seller, 'k1', { ...BODY, start_price: 200 });
  assert.deepEqual([changed.status, changed.body.code], [409, 'key_reused']);
  const bad = await publish(server, seller, 'no spaces');
  assert.deepEqual([bad.status, bad.body.code], [400, 'bad_key']);
  const ids = [(await publish(server, seller, 'k2')), (await publish(server, other, 'k1')), (await publish(server, seller))];
  assert.equal(new Set([id, ...ids.map(({ body }) => body.auction.id)]).size, 4, 'another key, another seller, no key');

  await server.kill();
  await server.run();
  assert.equal((await publish(server, seller, 'k1')).body.auction.id, id, 'after a crash');
  await server.call('POST', `/api/auctions/${id}/cancel`, { token: seller.token, body: {} });
  await until(() => server.rows('SELECT count(*) AS n FROM auctions WHERE status = 5')[0].n === 1, 'archived');
  const over = await publish(server, seller, 'k1');
  assert.deepEqual([over.status, over.body.auction.id, over.body.auction.status], [201, id, 'cancelled'], 'after its end');
  assert.equal(server.rows('SELECT count(*) AS n FROM conflicts')[0].n, 0);
}));

// A listing without its OPEN, as a crash between the two leaves it; its number in the database.
function leaveListing(server, key, body, agoMs) {
  const digest = createHash('sha256').update(JSON.stringify(body)).digest('hex');
  server.tamper(`CREATE TEMP TABLE lost AS SELECT * FROM auctions LIMIT 1;
    UPDATE lost SET id = id + 1, status = 0, applied_seq = 0, state = NULL, key = '${key}', asked = x'${digest}',
      created_us = created_us - ${agoMs} * 1000, starts_at_us = starts_at_us - ${agoMs} * 1000, ends_at_us = ends_at_us - ${agoMs} * 1000;
    INSERT INTO auctions SELECT * FROM lost`);
}

test('a retry opens what a crash left listed', () => withServer({}, async (server) => {
  const [seller, ann] = await Promise.all(['seller', 'ann'].map((name) => server.account(name)));
  await publish(server, seller, 'k1');
  await until(() => server.rows('SELECT count(*) AS n FROM auctions WHERE status = 1')[0].n === 1, 'archived');
  await server.kill();
  leaveListing(server, 'lost', BODY, 60000);
  await server.run();
  const changed = await publish(server, seller, 'lost', { ...BODY, title: 'Another' });
  assert.equal(changed.status, 409);
  const first = await publish(server, seller, 'lost');
  assert.equal(first.status, 201, JSON.stringify(first.body));
  const { id, ends_at_ms: endsAtMs } = first.body.auction;
  const state = await server.state(id);
  assert.deepEqual([state.status, state.ends_at_ms], ['open', endsAtMs], 'as it was listed');
  const client = await Client.connect(server, ann);
  assert.equal((await client.bid(id, 500, 'b1')).verdict, 'leading');
  assert.equal((await publish(server, seller, 'lost')).body.auction.id, id);
  assert.equal(server.rows('SELECT count(*) AS n FROM auctions')[0].n, 2);
  await client.close();
}));

test('what was listed too long ago is not opened any more', () => withServer({}, async (server) => {
  const seller = await server.account('seller');
  await publish(server, seller, 'k1');
  await until(() => server.rows('SELECT count(*) AS n FROM auctions WHERE status = 1')[0].n === 1, 'archived');
  leaveListing(server, 'lost', BODY, HOUR_MS + 1000);
  const { status, body } = await publish(server, seller, 'lost');
  assert.deepEqual([status, body.code], [409, 'key_reused']);
  assert.match(body.detail, /Use a new key/);
}));

test('the image of an auction must be there', () => withServer({}, async (server) => {
  const seller = await server.account('seller');
  const missing = await publish(server, seller, undefined, { ...BODY, image: 'ab'.repeat(32) });
  assert.deepEqual([missing.status, missing.body.code], [422, 'unknown_image']);
  assert.match(missing.body.detail, /^image: /);
  assert.equal(server.rows('SELECT count(*) AS n FROM auctions')[0].n, 0);
  const png = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const uploaded = await fetch(server.url('/api/images'), {
    method: 'POST', headers: { authorization: `Bearer ${seller.token}`, 'content-type': 'image/png' }, body: png,
  });
  const { image } = await uploaded.json();
  const published = await publish(server, seller, undefined, { ...BODY, image });
  assert.deepEqual([published.status, published.body.auction.image], [201, image]);
}));
