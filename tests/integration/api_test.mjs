// The HTTP API as its readers use it: lists, search, pages, caching, history and ledger.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Client } from './client.mjs';
import { until, withServer } from './kit.mjs';

const ids = ({ auctions }) => auctions.map(({ id }) => id);

test('lists: filters, search, every page once, private ones nowhere', () => withServer({}, async (server) => {
  const [seller, other] = await Promise.all(['seller', 'other'].map((name) => server.account(name)));
  const lamps = [];
  for (let i = 0; i < 7; i++) {
    lamps.push(await server.auction(seller, { title: `Lamp ${i}`, start_price: 1000 - i, category: 'home' }));
  }
  const yen = await server.auction(other, { title: 'A vase', currency: 'JPY' });
  const soon = await server.auction(other, {
    title: 'Lamp of tomorrow', starts_at_ms: Date.now() + 86400000, ends_at_ms: Date.now() + 2 * 86400000,
  });
  const hidden = await server.auction(seller, { title: 'Lamp in private', private: true });

  const seen = [];
  for (let after = ''; ;) {
    const page = await server.call('GET', `/api/auctions?search=lamp&phase=live&sort=price_up&limit=3${after}`);
    assert.ok(page.auctions.length <= 3);
    seen.push(...page.auctions);
    if (page.next === null) break;
    after = `&after=${page.next}`;
  }
  assert.deepEqual(seen.map(({ id }) => id), [...lamps].reverse());
  assert.deepEqual([seen[0].seller_name, seen[0].status, seen[0].price, seen[0].bids], ['seller', 'open', null, 0]);

  assert.deepEqual(ids(await server.call('GET', '/api/auctions?currency=JPY')), [yen]);
  assert.deepEqual(ids(await server.call('GET', '/api/auctions?phase=scheduled')), [soon]);
  assert.deepEqual(ids(await server.call('GET', '/api/auctions?phase=over')), []);
  assert.deepEqual(ids(await server.call('GET', `/api/auctions?phase=live&seller=${other.id}`)), [yen]);
  assert.equal(ids(await server.call('GET', '/api/auctions?category=home&limit=100')).length, 7);
  assert.equal((await server.call('GET', `/api/auctions/${hidden}`)).auction.private, true);
  const mine = () => server.call('GET', '/api/me/auctions?limit=100', { token: seller.token });
  await until(async () => ids(await mine()).includes(hidden), 'its seller finds it');

  for (const query of ['limit=0', 'limit=x', 'sort=best', 'phase=never', 'after=abc', 'seller=UPPER',
    'after=%00', 'search=%', 'search=a%2', 'search=%zz', 'category=%c3%28', 'phase=live&sort=%00']) {
    const answer = await server.request('GET', `/api/auctions?${query}`);
    assert.deepEqual([answer.status, answer.body.code], [400, 'bad_query'], query);
    assert.match(answer.body.detail, new RegExp(`^${/(\w+)=[^=]*$/.exec(query)[1]}: `), query);
  }
  const wild = await server.call('GET', `/api/auctions?search=${encodeURIComponent('%" OR 1=1 *')}`);
  assert.deepEqual(ids(wild), []);
}));

test('a description comes from memory until a bid changes it', () => withServer({}, async (server) => {
  const [seller, bob] = [await server.account('seller'), await server.account('bob')];
  const auction = await server.auction(seller, { buy_now: 50000 });
  const path = `/api/auctions/${auction}`;
  await until(async () => (await server.call('GET', path)).auction.rules !== null, 'its rules are archived');
  const first = await server.request('GET', path);
  const hits = await server.metric('catalogue_reads_total{result="hit"}');
  const again = await server.request('GET', path);
  assert.deepEqual(again.body, first.body);
  assert.equal(again.headers.get('etag'), first.headers.get('etag'));
  assert.equal(await server.metric('catalogue_reads_total{result="hit"}'), hits + 1);
  assert.equal((await server.request('GET', path, { headers: { 'if-none-match': first.headers.get('etag') } })).status, 304);
  assert.equal(await server.metric('catalogue_entries'), 1);
  await until(async () => Number((await server.request('GET', path)).headers.get('age')) >= 1, 'the time in our cache counts in theirs');
  assert.equal(first.body.auction.buy_now, 50000);
  await server.call('POST', `${path}/bids`, { token: bob.token, key: 'b1', body: { max: 200, currency: 'USD' } });
  await until(async () => (await server.call('GET', path)).auction.buy_now === null, 'the first bid has ended the offer');
  assert.equal(await server.metric('catalogue_dropped_total{why="changed"}'), 1);
}));

test('the catalogue is cached by its tag, and holds no live price and no secret', () => withServer({}, async (server) => {
  const seller = await server.account('seller');
  const auction = await server.auction(seller, { reserve: 123456, description: '<b>Old</b> & good' });
  const path = `/api/auctions/${auction}`;
  await until(async () => (await server.call('GET', path)).auction.rules !== null, 'its rules are archived');
  const first = await server.request('GET', path);
  const tag = first.headers.get('etag');
  assert.match(first.headers.get('cache-control'), /max-age=300/);
  assert.equal(first.body.auction.description, '<b>Old</b> & good');
  assert.equal(first.body.auction.rules.reserve, true);
  assert.equal(JSON.stringify(first.body).includes('123456'), false, 'the reserve is the seller\'s secret');
  for (const live of ['price', 'bids', 'leader']) assert.equal(live in first.body.auction, false, live);
  const again = await server.request('GET', path, { headers: { 'if-none-match': tag } });
  assert.deepEqual([again.status, again.body], [304, '']);
  const other = await server.request('GET', path, { headers: { 'if-none-match': '"x"' } });
  assert.equal(other.status, 200);
  for (const missing of ['/api/auctions/0000000000000', '/api/auctions/x', '/api/nothing']) {
    assert.equal((await server.request('GET', missing)).status, 404, missing);
  }
}));

test('an auction that breaks the rules is not opened, and why is said', () => withServer({}, async (server) => {
  const seller = await server.account('seller');
  const good = { title: 'A', description: '', category: 'other', currency: 'USD', start_price: 100, duration_ms: 60000 };
  const bad = {
    title: [{ title: '' }, { title: 'x'.repeat(1000) }, { title: 'a\nb' }],
    currency: [{ currency: 'XXX' }],
    start_price: [{ start_price: 0 }, { start_price: -1 }, { start_price: 1.5 }, { start_price: '100' }, { start_price: 2 ** 53 }],
    buy_now: [{ buy_now: 120 }],
    duration_ms: [{ duration_ms: 0 }],
    category: [{ category: 'nonsense' }],
    color: [{ color: 'red' }],
  };
  for (const [name, changes] of Object.entries(bad)) {
    for (const change of changes) {
      const answer = await server.request('POST', '/api/auctions', { token: seller.token, body: { ...good, ...change } });
      assert.deepEqual([answer.status, answer.body.code], [400, 'bad_body'], JSON.stringify(change));
      assert.ok(answer.body.detail.includes(name), `${answer.body.detail} should name ${name}`);
      assert.equal(answer.headers.get('content-type'), 'application/problem+json');
    }
  }
  const text = await server.request('POST', '/api/auctions', { token: seller.token, body: '{"a":', headers: { 'content-type': 'application/json' } });
  assert.equal(text.status, 400);
  const form = await server.request('POST', '/api/auctions', { token: seller.token, body: 'a=b', headers: { 'content-type': 'text/plain' } });
  assert.equal(form.status, 415);
  assert.equal((await server.request('POST', '/api/auctions', { body: good })).status, 401);
  assert.deepEqual(ids(await server.call('GET', '/api/auctions')), []);
}));

test('history hides what could be pushed; the ledger tells no secret', () => withServer({}, async (server) => {
  const [seller, ann, bob] = await Promise.all(['seller', 'ann', 'bob'].map((name) => server.account(name)));
  const auction = await server.auction(seller);
  const [a, b] = [await Client.connect(server, ann), await Client.connect(server, bob)];
  await a.bid(auction, 7700, 'a1');
  await b.bid(auction, 8800, 'b1');
  const last = await a.bid(auction, 8950, 'a2');
  await a.bid(auction, 9900, 'a3');
  assert.equal((await b.bid(auction, 100, 'b2')).error.code, 'too_low');
  const bids = await until(async () => {
    const all = await server.bids(auction);
    return all.length === 4 && all;
  }, 'four bids in the history');
  assert.deepEqual(bids.map((bid) => bid.kind), ['raise', 'bid', 'bid', 'bid']);
  assert.deepEqual(bids.map((bid) => bid.max), [undefined, undefined, 8800, undefined], 'only the beaten one is told');
  assert.equal(bids[0].label, last.label);
  const page = await server.call('GET', `/api/auctions/${auction}/bids?limit=3`);
  const rest = await server.call('GET', `/api/auctions/${auction}/bids?limit=3&before=${page.next}`);
  assert.deepEqual([...page.bids, ...rest.bids], bids);
  assert.equal(rest.next, null);

  const ledger = await server.ledger(auction);
  assert.deepEqual(ledger.map(({ seq }) => seq), ledger.map((_, i) => i + 1));
  assert.deepEqual(ledger.map(({ verdict }) => verdict.verdict).slice(1, 5), ['leading', 'leading', 'leading', 'raised']);
  const text = JSON.stringify(ledger);
  for (const secret of ['7700', '8800', '8950', '9900', ann.id, bob.id]) {
    assert.equal(text.includes(`"${secret}"`) || text.includes(`:${secret},`), false, secret);
  }
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(9900n);
  assert.equal(ledger.some(({ form }) => form.includes(bytes.toString('hex'))), false, 'no maximum in the public form');
  for (const { chain } of ledger) assert.match(chain, /^[0-9a-f]{64}$/);
  assert.equal(new Set(ledger.map(({ chain }) => chain)).size, ledger.length);
  await Promise.all([a.close(), b.close()]);
}));

test('a bid over HTTP is the same bid', () => withServer({}, async (server) => {
  const [seller, ann] = await Promise.all(['seller', 'ann'].map((name) => server.account(name)));
  const auction = await server.auction(seller, { buy_now: 5000 });
  const path = `/api/auctions/${auction}`;
  const options = { token: ann.token, key: 'h1', body: { max: 700, currency: 'USD' } };
  const first = await server.request('POST', `${path}/bids`, options);
  assert.deepEqual([first.status, first.body.verdict, first.body.price], [200, 'leading', 100]);
  const again = await server.request('POST', `${path}/bids`, options);
  assert.deepEqual(again.body, first.body);
  const low = await server.request('POST', `${path}/bids`, { ...options, key: 'h2' });
  assert.deepEqual([low.status, low.body.code], [409, 'not_above_own_max']);
  const euros = await server.request('POST', `${path}/bids`, { token: ann.token, key: 'h3', body: { max: 900, currency: 'EUR' } });
  assert.deepEqual([euros.status, euros.body.code], [409, 'currency']);
  const gone = await server.request('POST', `${path}/buy`, { token: ann.token, key: 'h4', body: { price: 5000, currency: 'USD' } });
  assert.deepEqual([gone.status, gone.body.code], [409, 'buy_now_gone']);
  for (const key of [undefined, 'a b', 'x'.repeat(65)]) {
    const answer = await server.request('POST', `${path}/bids`, { ...options, key });
    assert.deepEqual([answer.status, answer.body.code], [400, 'bad_key'], String(key));
  }
  const nowhere = await server.request('POST', '/api/auctions/0000000000001/bids', { ...options, key: 'h5' });
  assert.deepEqual([nowhere.status, nowhere.body.code, nowhere.headers.get('retry-after')], [404, 'unknown_auction', null]);
  const own = await server.request('POST', `${path}/bids`, { ...options, token: seller.token, key: 's1' });
  assert.deepEqual([own.status, own.body.code], [409, 'seller']);
  const mine = await until(async () => {
    const list = await server.call('GET', '/api/me/bids', { token: ann.token });
    return list.auctions.length > 0 && list;
  }, 'the archived bid in the own list');
  assert.deepEqual(mine.auctions.map(({ id, you }) => [id, you.max, you.leading]), [[auction, 700, true]]);
}));

test('the watch list is its owner\'s', () => withServer({}, async (server) => {
  const [seller, ann] = await Promise.all(['seller', 'ann'].map((name) => server.account(name)));
  const auction = await server.auction(seller);
  const path = `/api/me/watched/${auction}`;
  assert.equal((await server.request('PUT', path, { token: ann.token })).status, 204);
  assert.equal((await server.request('PUT', path, { token: ann.token })).status, 204);
  assert.deepEqual(ids(await server.call('GET', '/api/me/watched', { token: ann.token })), [auction]);
  assert.deepEqual(ids(await server.call('GET', '/api/me/watched', { token: seller.token })), []);
  assert.equal((await server.request('DELETE', path, { token: ann.token })).status, 204);
  assert.deepEqual(ids(await server.call('GET', '/api/me/watched', { token: ann.token })), []);
  assert.equal((await server.request('GET', '/api/me/watched')).status, 401);
}));
