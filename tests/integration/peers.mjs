// Requests from an address of one's choice: all of 127.0.0.0/8 is this machine.
import { once } from 'node:events';
import { Agent, request } from 'node:http';

// One request on a connection of its own: { status, headers, body }.
export async function askFrom(from, port, { method = 'GET', path = '/health', headers = {}, body } = {}) {
  const json = body === undefined ? {} : { 'content-type': 'application/json' };
  const agent = new Agent({ localAddress: from });
  const sent = request({ host: '127.0.0.1', port, agent, method, path, headers: { ...json, ...headers } });
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  const [answer] = await once(sent, 'response');
  let text = '';
  for await (const bytes of answer) text += bytes;
  agent.destroy();
  return { status: answer.statusCode, headers: answer.headers, body: text.startsWith('{') ? JSON.parse(text) : text };
}

// A login that fails, and counts as an attempt of its address.
export function tryLogin(from, port, headers = {}) {
  const body = { email: 'nobody@test.example', password: 'wrong horse battery' };
  return askFrom(from, port, { method: 'POST', path: '/api/sessions', headers, body });
}
