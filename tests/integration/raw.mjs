// Bytes as they are, for what no decent client would send.
import { once } from 'node:events';
import { connect } from 'node:net';

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

export function handshake(changes = {}) {
  const fields = {
    Host: '127.0.0.1', Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Key': KEY,
    'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Protocol': 'quickbid.v1', ...changes,
  };
  const lines = Object.entries(fields).filter(([, v]) => v !== null).map(([n, v]) => `${n}: ${v}\r\n`);
  return `GET /ws HTTP/1.1\r\n${lines.join('')}\r\n`;
}

// One frame. `first` is the whole first byte; `length` overrides what is announced.
export function frame(first, payload = '', { isMasked = true, length, form } = {}) {
  const body = Buffer.from(payload);
  const said = BigInt(length ?? body.length);
  const size = form ?? (said < 126n ? 7 : said < 65536n ? 16 : 64);
  const head = Buffer.alloc(2 + (size === 16 ? 2 : size === 64 ? 8 : 0));
  head[0] = first;
  head[1] = (isMasked ? 0x80 : 0) | (size === 7 ? Number(said) : size === 16 ? 126 : 127);
  if (size === 16) head.writeUInt16BE(Number(said), 2);
  if (size === 64) head.writeBigUInt64BE(said, 2);
  if (!isMasked) return Buffer.concat([head, body]);
  const mask = Buffer.from([0x12, 0xf3, 0x55, 0x80]);
  return Buffer.concat([head, mask, body.map((byte, i) => byte ^ mask[i % 4])]);
}

export const maskedText = (text) => frame(0x81, text);

// A socket whose handshake is answered.
export async function openWebSocket(port) {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(handshake());
  await once(socket, 'data');
  return socket;
}

// Sends all at once and reads until `isDone(bytes)`, the end of the connection or the deadline.
export async function exchange(port, pieces, isDone, deadlineMs = 5000) {
  const socket = connect(port, '127.0.0.1');
  let got = Buffer.alloc(0);
  socket.on('error', () => {});
  const over = once(socket, 'close');
  const done = new Promise((resolve) => {
    socket.on('data', (bytes) => {
      got = Buffer.concat([got, bytes]);
      if (isDone(got)) resolve();
    });
  });
  await once(socket, 'connect');
  socket.write(Buffer.concat(pieces.map((piece) => Buffer.from(piece))));
  let timer;
  await Promise.race([over, done, new Promise((resolve) => { timer = setTimeout(resolve, deadlineMs); })]);
  clearTimeout(timer);
  socket.destroy();
  return got;
}

// The frames of a server behind its handshake: [{opcode, payload}].
export function framesOf(bytes) {
  const end = bytes.indexOf('\r\n\r\n');
  const frames = [];
  let at = end < 0 ? bytes.length : end + 4;
  while (at + 2 <= bytes.length) {
    let length = bytes[at + 1] & 0x7f;
    let head = 2;
    if (length === 126 && at + 4 <= bytes.length) {
      length = bytes.readUInt16BE(at + 2);
      head = 4;
    }
    if (at + head + length > bytes.length) break;
    frames.push({ opcode: bytes[at] & 0x0f, payload: bytes.subarray(at + head, at + head + length) });
    at += head + length;
  }
  return frames;
}
