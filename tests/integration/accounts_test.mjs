// Who somebody is: by cookie, by token, by ticket; and that nobody learns more than that.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import WebSocket from 'ws';
import { Client } from './client.mjs';
import { until, withServer } from './kit.mjs';

const PASSWORD = 'correct horse battery';
const SIGN_UP = { email: 'ann@test.example', password: PASSWORD, name: 'Ann' };

const originOf = (server) => `http://127.0.0.1:${server.port}`;

// A sign-up as the page does it: the cookie's value, and its attributes.
async function signUpWithCookie(server, email = SIGN_UP.email) {
  const headers = { origin: originOf(server) };
  const answer = await server.request('POST', '/api/users', { headers, body: { ...SIGN_UP, email } });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  const [cookie, ...attributes] = answer.headers.get('set-cookie').split('; ');
  return { cookie, attributes, user: answer.body.user, body: answer.body };
}

// The close code of a socket that opened, or the status of a handshake that was refused.
async function handshake(server, options = {}, query = '') {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws${query}`, 'quickbid.v1', options);
  socket.on('error', () => {});
  const refused = once(socket, 'unexpected-response').then(([, answer]) => answer.statusCode);
  const status = await Promise.race([refused, once(socket, 'open').then(() => 101)]);
  return { status, socket };
}

test('a cookie: HttpOnly, of this site, and only beside the exact Origin', () => withServer({}, async (server) => {
  const { cookie, attributes, user, body } = await signUpWithCookie(server);
  assert.match(cookie, /^qb_session=[\w-]{43}$/);
  for (const wanted of ['HttpOnly', 'SameSite=Strict', 'Path=/']) assert.ok(attributes.includes(wanted), wanted);
  assert.equal('token' in body, false, 'who keeps a cookie gets no token to leak');
  assert.deepEqual(user.roles, ['bidder', 'seller']);

  const me = await server.call('GET', '/api/me', { headers: { cookie } });
  assert.equal(me.user.id, user.id);
  const origins = [undefined, 'null', `https://127.0.0.1:${server.port}`, `http://127.0.0.1:${server.port + 1}`,
    `http://127.0.0.1:${server.port}.evil.example`, 'http://evil.example'];
  for (const origin of origins) {
    const headers = { cookie, ...(origin && { origin }) };
    const answer = await server.request('POST', '/api/tickets', { headers });
    assert.deepEqual([answer.status, answer.body.code], [403, 'origin'], String(origin));
  }
  const good = await server.request('POST', '/api/tickets', { headers: { cookie, origin: originOf(server) } });
  assert.equal(good.status, 200);
}));

test('a WebSocket is known by cookie and Origin, by ticket once, or by auth', () => withServer({}, async (server) => {
  const { cookie } = await signUpWithCookie(server);
  const ann = await server.account('ann2');
  const auction = await server.auction(ann);

  const byCookie = await Client.connect(server, null, { headers: { cookie }, origin: originOf(server) });
  assert.equal((await byCookie.bid(auction, 500, 'c1')).verdict, 'leading');
  for (const origin of ['http://evil.example', undefined]) {
    const { status, socket } = await handshake(server, { headers: { cookie }, origin });
    assert.equal(status, 403, String(origin));
    socket.terminate();
  }

  const { ticket } = await server.call('POST', '/api/tickets', { token: ann.token });
  const first = await handshake(server, {}, `?ticket=${ticket}`);
  assert.equal(first.status, 101);
  const second = await handshake(server, {}, `?ticket=${ticket}`);
  assert.equal(second.status, 401, 'a ticket is good once');
  first.socket.terminate();
  second.socket.terminate();

  const visitor = await Client.connect(server);
  await visitor.good({ do: 'watch', auction });
  await visitor.refused({ do: 'bid', auction, max: 500, currency: 'USD', key: 'v1' }, 'login_required');
  await visitor.refused({ do: 'auth', token: `${ann.token.slice(0, -2)}xx` }, 'bad_token');
  const { user } = await visitor.good({ do: 'auth', token: ann.token });
  assert.equal(user, ann.id);
  await Promise.all([byCookie, visitor].map((client) => client.close()));
}));

test('a logout closes the sockets of its login, and of no other', () => withServer({}, async (server) => {
  const { cookie } = await signUpWithCookie(server);
  const login = await server.call('POST', '/api/sessions', { body: { email: SIGN_UP.email, password: PASSWORD, mode: 'token' } });
  const headers = { cookie, origin: originOf(server) };
  const one = await Client.connect(server, null, { headers: { cookie }, origin: originOf(server) });
  const other = await Client.connect(server, login);
  assert.equal((await server.request('DELETE', '/api/sessions', { headers })).status, 204);
  await until(() => one.closed !== null, 'the socket is closed');
  assert.equal(one.closed, 4002);
  assert.equal((await server.request('GET', '/api/me', { headers: { cookie } })).status, 401);
  await other.good({ do: 'ping' });
  assert.equal(other.closed, null);
  await other.close();
  const renewed = await server.call('POST', '/api/sessions/renew', { body: { session: login.session } });
  assert.ok(renewed.token.length > 100);
  const forged = await server.request('POST', '/api/sessions/renew', {
    token: renewed.token, body: { session: login.session.replace(/./g, 'A') },
  });
  assert.equal(forged.status, 401, 'a token does not renew itself beside a session that is none');
}));

test('a logout ends the tokens of its login at once, and a crash gives none back', () => withServer({}, async (server) => {
  const ann = await server.account('ann');
  const logIn = () => server.call('POST', '/api/sessions', { body: { email: ann.email, password: ann.password, mode: 'token' } });
  const [out, other] = [await logIn(), await logIn()];
  const { ticket } = await server.call('POST', '/api/tickets', { token: out.token });
  const client = await Client.connect(server, out);
  assert.equal((await server.request('DELETE', '/api/sessions', { body: { session: out.session } })).status, 204);
  await until(() => client.closed !== null, 'the socket is closed');
  assert.equal(client.closed, 4002);
  const { socket, status } = await handshake(server, {}, `?ticket=${ticket}`);
  assert.equal(status, 401, 'nor has a ticket that was asked for with it');
  socket.terminate();
  for (const when of ['at once', 'after a crash', 'after another']) {
    const answer = await server.request('GET', '/api/me', { token: out.token });
    assert.deepEqual([answer.status, answer.body.code], [401, 'bad_token'], when);
    const visitor = await Client.connect(server);
    await visitor.refused({ do: 'auth', token: out.token }, 'bad_token');
    await visitor.good({ do: 'auth', token: other.token });
    await visitor.close();
    assert.equal((await server.call('GET', '/api/me', { token: other.token })).user.id, ann.id, 'another login goes on');
    assert.match((await server.request('GET', '/metrics')).body, /^quickbid_revocations 1$/m);
    await server.kill();
    await server.run();
  }
  const renewed = await server.request('POST', '/api/sessions/renew', { body: { session: out.session } });
  assert.equal(renewed.status, 401);
}));

test('beyond revocations_max older tokens of everybody must be renewed', () => withServer({ 'revocations-max': 16 }, async (server) => {
  const ann = await server.account('ann');
  const body = { email: ann.email, password: ann.password, mode: 'token' };
  const kept = await server.call('POST', '/api/sessions', { body });
  const logOut = async () => {
    const { session } = await server.call('POST', '/api/sessions', { body });
    await server.call('DELETE', '/api/sessions', { body: { session } });
  };
  await until(() => Date.now() % 1000 < 100, 'another second than that of its token');
  for (let i = 0; i < 16; i++) await logOut();
  await server.call('GET', '/api/me', { token: kept.token });
  await logOut();
  assert.equal((await server.request('GET', '/api/me', { token: kept.token })).status, 401);
  const renewed = await server.call('POST', '/api/sessions/renew', { body: { session: kept.session } });
  assert.equal((await server.call('GET', '/api/me', { token: renewed.token })).user.id, ann.id);
  assert.match((await server.request('GET', '/metrics')).body, /^quickbid_revocations_dropped_total 1$/m);
}));

test('a wrong password and an unknown account get the same answer', () => withServer({}, async (server) => {
  await server.account('ann');
  const attempts = [
    { email: 'ann@test.example', password: 'wrong but long enough' },
    { email: 'nobody@test.example', password: 'wrong but long enough' },
    { email: 'ann@test.example', password: 'short' },
  ];
  const answers = [];
  for (const body of attempts) answers.push(await server.request('POST', '/api/sessions', { body }));
  for (const { status, body } of answers) {
    assert.equal(status, 401);
    assert.deepEqual(body, answers[0].body);
  }
  assert.equal(answers[0].body.code, 'wrong_credentials');
  const again = await server.request('POST', '/api/users', { body: SIGN_UP });
  assert.deepEqual([again.status, again.body.code], [409, 'email_taken']);

  const { body: metrics } = await server.request('GET', '/metrics');
  for (const row of ['logins_total{result="wrong_credentials"} 3', 'signups_total{result="ok"} 1',
    'signups_total{result="email_taken"} 1', 'work_queue_jobs{pool="password"} 0']) {
    assert.ok(metrics.includes(`quickbid_${row}\n`), row);
  }
  assert.match(metrics, /quickbid_password_hash_us_count [1-9]/);
}));

test('a token that is not the server\'s own is nobody\'s', () => withServer({}, async (server) => {
  const { token } = await server.account('ann');
  const [head, body, mark] = token.split('.');
  const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url');
  for (const forged of [`${none}.${body}.`, `${none}.${body}.${mark}`, `${head}.${body}.${'A'.repeat(mark.length)}`, 'x', `${token}=`]) {
    const answer = await server.request('GET', '/api/me', { token: forged });
    assert.deepEqual([answer.status, answer.body.code], [401, 'bad_token'], forged);
  }
  assert.equal(server.log.includes(token), false, 'a token is never logged');
  assert.equal(server.log.includes(PASSWORD), false, 'nor a password');
}));
