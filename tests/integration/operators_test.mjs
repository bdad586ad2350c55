// What sellers, admins and bidders may command beside bids, and what becomes of it.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { Client } from './client.mjs';
import { until, withServer } from './kit.mjs';

const ADMIN = { email: 'admin@test.example', password: 'an admin with a long password' };
const DAY_MS = 86400000;

// Runs `body` with a server that has an admin, a seller, two bidders, and their clients.
async function withPeople(body) {
  const folder = mkdtempSync(join(tmpdir(), 'quickbid-admin-'));
  const file = join(folder, 'password');
  writeFileSync(file, `${ADMIN.password}\n`, { mode: 0o600 });
  try {
    await withServer({ 'admin-email': ADMIN.email, 'admin-password-file': file }, async (server) => {
      const [seller, ann, bob] = await Promise.all(['seller', 'ann', 'bob'].map((name) => server.account(name)));
      const admin = await server.call('POST', '/api/sessions', { body: { ...ADMIN, mode: 'token' } });
      const [a, b] = [await Client.connect(server, ann), await Client.connect(server, bob)];
      const order = (who, auction, what, json) => server.request(
        'POST', `/api/auctions/${auction}/${what}`, { token: who.token, body: json });
      await body({ server, seller, ann, bob, admin, a, b, order });
      await Promise.all([a.close(), b.close()]);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const codes = ({ status, body }) => [status, body.code ?? body.verdict];

test('who may not is told so, and nothing happens', () => withPeople(async ({ server, seller, ann, admin, order }) => {
  const auction = await server.auction(seller, { reserve: 5000 });
  const before = await server.state(auction);
  const bodies = { reserve: { reserve: 4000 }, block: { label: 'AAAAA' }, unblock: { label: 'AAAAA' }, void: { seq: 2 } };
  for (const what of ['pause', 'resume', 'cancel', 'reserve', 'block', 'unblock', 'void']) {
    assert.deepEqual(codes(await order(ann, auction, what, bodies[what])), [403, 'forbidden'], `a bidder: ${what}`);
    assert.equal((await order({}, auction, what, bodies[what])).status, 401, `a visitor: ${what}`);
  }
  assert.deepEqual(codes(await order(seller, auction, 'void', { seq: 2 })), [403, 'forbidden'], 'a seller voids nothing');
  for (const who of [seller, ann, admin]) {
    assert.equal((await order(who, '0000000000000', 'pause')).status, 404);
  }
  const after = await server.state(auction);
  assert.deepEqual([after.seq, after.status], [before.seq, 'open']);
}));

test('staff and who is no bidder may not bid, by any way in', () => withPeople(async ({ server, seller, admin, bob }) => {
  const auction = await server.auction(seller);
  const roles = await server.request('PUT', `/api/users/${bob.id}/roles`, { token: admin.token, body: { roles: ['seller'] } });
  assert.equal(roles.status, 200);
  const login = await server.call('POST', '/api/sessions', { body: { email: bob.email, password: bob.password, mode: 'token' } });
  for (const [who, token] of [['staff', admin.token], ['no bidder', login.token]]) {
    const client = await Client.connect(server, { token });
    assert.equal((await client.bid(auction, 500, 'by-socket')).error.code, 'forbidden', who);
    assert.equal((await client.ask({ do: 'buy', auction, max: 500, currency: 'USD', key: 'buy' })).ok, false, who);
    const answer = await server.request('POST', `/api/auctions/${auction}/bids`, {
      token, key: 'by-http', body: { max: 500, currency: 'USD' },
    });
    assert.deepEqual(codes(answer), [403, 'forbidden'], who);
    await client.close();
  }
  assert.equal((await server.state(auction)).bids, 0);
}));

test('a role taken away is gone at once: from the open session, the token, and after a crash', () => withPeople(async ({ server, seller, admin, bob, b }) => {
  const auction = await server.auction(seller);
  const logIn = () => server.call('POST', '/api/sessions', { body: { email: bob.email, password: bob.password, mode: 'token' } });
  const login = await logIn();
  const setRoles = (roles) => server.call('PUT', `/api/users/${bob.id}/roles`, { token: admin.token, body: { roles } });
  await setRoles(['bidder', 'seller']);
  assert.equal((await b.bid(auction, 500, 'b1')).verdict, 'leading', 'the same roles again change nothing');
  await setRoles(['seller']);
  await until(() => b.closed !== null, 'the session ends');
  assert.equal(b.closed, 4203);
  const renewed = await server.call('POST', '/api/sessions/renew', { body: { session: login.session } });
  for (const when of ['at once', 'after a crash']) {
    const visitor = await Client.connect(server);
    await visitor.refused({ do: 'auth', token: bob.token }, 'bad_token');
    await visitor.close();
    const answer = await server.request('POST', `/api/auctions/${auction}/bids`, { token: bob.token, key: 'b2', body: { max: 900, currency: 'USD' } });
    assert.deepEqual(codes(answer), [401, 'bad_token'], when);
    const { token } = when === 'at once' ? renewed : await logIn();
    const client = await Client.connect(server, { token });
    assert.equal((await client.bid(auction, 900, 'b3')).error.code, 'forbidden', 'the new roles count');
    await client.close();
    await server.kill();
    await server.run();
  }
  assert.equal((await server.state(auction)).bids, 1);
}));

test('pause stops bids and keeps the time; resume gives it back', () => withPeople(async ({ server, seller, admin, a, b, order }) => {
  const auction = await server.auction(seller);
  const { state } = await a.good({ do: 'watch', auction });
  assert.deepEqual(codes(await order(seller, auction, 'pause', { reason: 'a question came up' })), [200, 'done']);
  const paused = await a.push('update', (update) => update.status === 'paused');
  assert.equal(paused.last.kind, 'pause');
  assert.equal((await b.bid(auction, 500, 'b1')).error.code, 'paused');
  assert.deepEqual(codes(await order(admin, auction, 'resume')), [200, 'done']);
  const open = await a.push('update', (update) => update.status === 'open');
  assert.ok(open.ends_at_ms >= state.ends_at_ms, 'no time is lost');
  assert.equal((await b.bid(auction, 500, 'b1')).error.code, 'paused', 'the key has its answer');
  assert.equal((await b.bid(auction, 500, 'b2')).verdict, 'leading');
}));

test('a seller has as many commands a minute as a bidder, and publishing is not counted', () => withPeople(async ({ server, seller, order }) => {
  const auction = await server.auction(seller);
  const codesOf = async (count) => {
    const answers = [];
    for (let i = 0; i < count; i++) answers.push(await order(seller, auction, 'resume'));
    return answers;
  };
  const first = await codesOf(50);
  assert.deepEqual([...new Set(first.map(({ status }) => status))], [409], 'nothing to resume');
  const [beyond] = await codesOf(1);
  assert.deepEqual(codes(beyond), [429, 'rate_limited']);
  assert.ok(Number(beyond.headers.get('retry-after')) > 0);
  await server.auction(seller);
}));

test('cancel: the seller, but not without reserve after a bid; an admin always', () => withPeople(async ({ server, seller, admin, a, order }) => {
  const plain = await server.auction(seller);
  await a.good({ do: 'watch', auction: plain });
  await a.bid(plain, 500, 'a1');
  assert.deepEqual(codes(await order(seller, plain, 'cancel', { reason: 'broken' })), [200, 'done']);
  const over = await a.push('update', (update) => update.status === 'cancelled');
  assert.deepEqual([over.outcome, over.winner], ['cancelled', null]);
  assert.equal((await a.bid(plain, 900, 'a2')).error.code, 'cancelled');

  const bound = await server.auction(seller, { without_reserve: true });
  await a.bid(bound, 500, 'a1');
  assert.deepEqual(codes(await order(seller, bound, 'cancel')), [409, 'without_reserve']);
  assert.equal((await server.state(bound)).status, 'open');
  assert.deepEqual(codes(await order(admin, bound, 'cancel', { reason: 'forged' })), [200, 'done']);
  assert.equal((await server.state(bound)).status, 'cancelled');
}));

test('block stops a bidder by label, unblock ends it', () => withPeople(async ({ server, seller, a, b, order }) => {
  const auction = await server.auction(seller);
  const { label } = await a.bid(auction, 500, 'a1');
  await until(async () => (await server.bids(auction)).length === 1, 'the bid in the history');
  assert.deepEqual(codes(await order(seller, auction, 'block', { label })), [200, 'done']);
  assert.equal((await a.bid(auction, 900, 'a2')).error.code, 'blocked');
  assert.equal((await b.bid(auction, 700, 'b1')).verdict, 'leading', 'others go on; what stands, stands');
  assert.equal((await order(seller, auction, 'block', { label: 'ZZZZZ' })).status, 400);
  assert.deepEqual(codes(await order(seller, auction, 'unblock', { label })), [200, 'done']);
  assert.equal((await a.bid(auction, 900, 'a3')).verdict, 'leading');
}));

test('void strikes a bid out, and the one before leads again', () => withPeople(async ({ server, seller, admin, a, b, order }) => {
  const auction = await server.auction(seller);
  const first = await a.bid(auction, 500, 'a1');
  const second = await b.bid(auction, 9000, 'b1');
  await a.good({ do: 'watch', auction });
  assert.deepEqual([second.verdict, second.price], ['leading', 550]);
  await until(async () => (await server.bids(auction)).length === 2, 'both bids in the history');
  assert.deepEqual(codes(await order(admin, auction, 'void', { seq: second.seq, reason: 'a stolen card' })), [200, 'done']);
  const struck = await a.push('update', (update) => update.last?.kind === 'void');
  assert.deepEqual([struck.leader, struck.price, struck.bids], [first.label, 100, 1]);
  const bids = await until(async () => {
    const all = await server.bids(auction);
    return all.some((bid) => bid.void) && all;
  }, 'the void in the history');
  assert.deepEqual(bids.map(({ seq, max }) => [seq, max]), [[second.seq, undefined], [first.seq, undefined]], 'nothing is deleted, nothing told');
}));

test('retract: the bidder alone, as far as the rules allow', () => withPeople(async ({ server, seller, ann, bob, a, b, order }) => {
  const auction = await server.auction(seller, { duration_ms: DAY_MS });
  await a.bid(auction, 500, 'a1');
  await b.bid(auction, 9000, 'b1');
  await a.good({ do: 'watch', auction });
  assert.equal((await order(bob, auction, 'retract', { reason: 'changed my mind' })).status, 400);
  assert.deepEqual(codes(await order(bob, auction, 'retract', { reason: 'wrong_amount' })), [200, 'done']);
  const back = await a.push('update', (update) => update.last?.kind === 'retract');
  assert.deepEqual([back.price, back.bids], [100, 1]);
  const again = await b.good({ do: 'bid', auction, max: 600, currency: 'USD', key: 'b2' });
  assert.equal(again.verdict, 'leading');
  const done = await a.good({ do: 'retract', auction, reason: 'seller_unreachable', key: 'a-r' });
  assert.equal(done.verdict, 'done');
  assert.equal((await server.state(auction)).bids, 1);
  assert.equal((await order(ann, auction, 'retract', { reason: 'wrong_amount' })).status, 409, 'there is nothing left to take back');
}));

test('the reserve can only be lowered, before it is met, with time left', () => withPeople(async ({ server, seller, a, order }) => {
  const auction = await server.auction(seller, { reserve: 5000, duration_ms: DAY_MS });
  const { state } = await a.good({ do: 'watch', auction });
  assert.equal(state.reserve, 'not_met');
  await a.bid(auction, 1000, 'a1');
  assert.equal((await order(seller, auction, 'reserve', { reserve: 6000 })).status, 409, 'never raised');
  assert.deepEqual(codes(await order(seller, auction, 'reserve', { reserve: 2000 })), [200, 'done']);
  assert.deepEqual(codes(await order(seller, auction, 'reserve', { reserve: 1001 })), [200, 'done'], 'just above the maximum');
  assert.deepEqual(codes(await order(seller, auction, 'reserve', { reserve: 1000 })), [200, 'done']);
  const cut = await a.push('notice', (notice) => notice.code === 'maximum_cut');
  assert.equal(cut.max, 999);
  assert.equal(a.pushes.filter(({ on }) => on === 'notice').length, 1, 'nothing was cut before');
  const raise = await a.bid(auction, 2500, 'a2');
  assert.deepEqual([raise.verdict, raise.price], ['raised', 1000]);
  const met = await a.push('update', (update) => update.reserve === 'met');
  assert.equal(met.price, 1000);
  assert.equal((await order(seller, auction, 'reserve', { reserve: 900 })).status, 409, 'it is met');
  const short = await server.auction(seller, { reserve: 5000 });
  assert.equal((await order(seller, short, 'reserve', { reserve: 4000 })).status, 409, 'less than 12 hours left');
}));
