// How auctions end: sold, bought, unsold; and that exactly the sold ones are to be paid.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Client } from './client.mjs';
import { until, withServer } from './kit.mjs';

const SHORT = { duration_ms: 900, soft_close: null };

async function people(server) {
  const [seller, ann, bob] = await Promise.all(['seller', 'ann', 'bob'].map((name) => server.account(name)));
  const [a, b] = [await Client.connect(server, ann), await Client.connect(server, bob)];
  return { seller, ann, bob, a, b };
}

// The payments of `account`, once there are `count` of them.
function payments(server, account, count) {
  return until(async () => {
    const list = await server.call('GET', '/api/me/payments', { token: account.token });
    return list.payments.length >= count && list.payments;
  }, `${count} payments`);
}

const seen = (list) => list.map(({ auction, title, amount, currency, status, as }) => ({ auction, title, amount, currency, status, as }));

test('sold: the winner is told, and both see the payment, also after a restart', () => withServer({}, async (server) => {
  const { seller, ann, bob, a, b } = await people(server);
  const auction = await server.auction(seller, { ...SHORT, title: 'A bell' });
  await a.good({ do: 'watch', auction });
  await a.bid(auction, 1000, 'a1');
  const last = await b.bid(auction, 2000, 'b1');
  const won = await b.push('won');
  assert.deepEqual([won.auction, won.price, won.currency], [auction, last.price, 'USD']);
  const end = await a.push('update', (update) => update.status === 'sold');
  assert.deepEqual([end.winner, end.final_price, end.leader], [last.label, last.price, last.label]);
  assert.equal(a.pushes.some(({ on }) => on === 'won'), false);

  const due = { auction, title: 'A bell', amount: last.price, currency: 'USD', status: 'pending' };
  const [bought] = await payments(server, bob, 1);
  assert.deepEqual(seen([bought]), [{ ...due, as: 'buyer' }]);
  assert.ok(bought.deadline_ms > Date.now() + 3 * 86400000, 'there are days to pay');
  assert.deepEqual(seen(await payments(server, seller, 1)), [{ ...due, as: 'seller' }]);
  assert.deepEqual(await payments(server, ann, 0), []);

  await server.kill();
  await server.run();
  assert.deepEqual((await payments(server, bob, 1)).map(({ id }) => id), [bought.id], 'once, not again at a start');
  const state = await server.state(auction);
  assert.deepEqual([state.status, state.winner, state.final_price], ['sold', last.label, last.price]);
  const over = await server.call('GET', '/api/auctions?phase=over');
  assert.deepEqual(over.auctions.map(({ id, status, price }) => [id, status, price]), [[auction, 'sold', last.price]]);
  const mine = await server.call('GET', '/api/me/bids', { token: ann.token });
  assert.deepEqual(mine.auctions.map(({ id, you }) => [id, you.max, you.leading]), [[auction, 1000, false]]);
}));

test('buy now ends it at once for one buyer', () => withServer({}, async (server) => {
  const { seller, ann, bob, a, b } = await people(server);
  const auction = await server.auction(seller, { buy_now: 5000, title: 'A chair' });
  await a.good({ do: 'watch', auction });
  const buy = (client, key, price = 5000) => client.ask({ do: 'buy', auction, price, currency: 'USD', key });
  assert.equal((await buy(a, 'w1', 4000)).ok, false, 'only at the price shown');
  const both = await Promise.all([buy(a, 'a1'), buy(b, 'b1')]);
  const good = both.filter(({ ok }) => ok);
  assert.deepEqual([good.length, good[0].verdict], [1, 'bought']);
  assert.equal(good[0].price, 5000, 'the price of the purchase');
  assert.equal(both.find(({ ok }) => !ok).error.code, 'ended');
  const end = await a.push('update', (update) => update.status === 'sold');
  assert.deepEqual([end.outcome, end.final_price, end.winner, end.buy_now], ['buy_now', 5000, good[0].label, null]);
  const buyer = both[0].ok ? ann : bob;
  assert.deepEqual((await payments(server, buyer, 1)).map(({ amount, as }) => [amount, as]), [[5000, 'buyer']]);
  assert.deepEqual(await payments(server, buyer === ann ? bob : ann, 0), []);
  assert.equal(end.last.price, 5000);
  const winner = both[0].ok ? a : b;
  const key = both[0].ok ? 'a1' : 'b1';
  assert.equal((await buy(winner, key)).price, 5000, 'a resend');
  assert.equal((await winner.good({ do: 'resolve', auction, key })).price, 5000, 'and resolve');
  await Promise.all([a.close(), b.close()]);
}));

test('below the reserve nothing is sold and nothing is due', () => withServer({}, async (server) => {
  const { seller, ann, a, b } = await people(server);
  const auction = await server.auction(seller, { ...SHORT, reserve: 9000 });
  const marker = await server.auction(seller, { ...SHORT, duration_ms: 1400, title: 'sold later' });
  await a.good({ do: 'watch', auction });
  await a.bid(auction, 5000, 'a1');
  await a.bid(marker, 5000, 'a2');
  const end = await a.push('update', (update) => update.status === 'unsold');
  assert.deepEqual([end.outcome, end.winner, end.final_price, end.reserve], ['reserve_not_met', null, null, 'not_met']);
  assert.equal(JSON.stringify(a.pushes).includes('9000'), false, 'the reserve stays the seller\'s secret');
  const due = await payments(server, ann, 1);
  assert.deepEqual(due.map((payment) => payment.auction), [marker], 'only the one that was sold');
  await Promise.all([a.close(), b.close()]);
}));

test('a start by the clock: refused before, taken after, and said', () => withServer({}, async (server) => {
  const { seller, a, b } = await people(server);
  const startsAtMs = Date.now() + 1200;
  const auction = await server.auction(seller, { starts_at_ms: startsAtMs, ends_at_ms: startsAtMs + 60000 });
  const { state } = await a.good({ do: 'watch', auction });
  assert.equal(state.status, 'scheduled');
  const early = await a.bid(auction, 500, 'a0');
  assert.equal(early.error.code, 'not_started');
  await until(() => Date.now() >= startsAtMs, 'its time');
  const late = await until(async () => {
    const answer = await b.bid(auction, 500, `b${Date.now()}`);
    return answer.ok && answer;
  }, 'the first bid');
  assert.equal(late.verdict, 'leading');
  const open = await a.push('update', (update) => update.status === 'open');
  assert.equal(open.auction, auction);
  await Promise.all([a.close(), b.close()]);
}));

test('extensions stop at the hard end', () => withServer({}, async (server) => {
  const { seller, a, b } = await people(server);
  const endsAtMs = Date.now() + 1500;
  const hardEndMs = endsAtMs + 1000;
  const auction = await server.auction(seller, {
    ends_at_ms: endsAtMs, soft_close: { window_ms: 60000, extend_ms: 60000, hard_end_ms: hardEndMs },
  });
  await a.good({ do: 'watch', auction });
  assert.equal((await a.bid(auction, 1000, 'a1')).ends_at_ms, hardEndMs);
  assert.equal((await b.bid(auction, 2000, 'b1')).ends_at_ms, hardEndMs);
  const end = await a.push('update', (update) => update.status === 'sold');
  assert.ok(end.now_ms >= hardEndMs);
  assert.equal(end.extensions, 1, 'a bid that moves nothing is no extension');
  await Promise.all([a.close(), b.close()]);
}));
