// The chain of a public ledger, made anew from its parts as any outsider can.
import { createHash } from 'node:crypto';

const hash = (...parts) => parts.reduce((sum, part) => sum.update(part), createHash('sha256')).digest();
const bytes = (hex) => Buffer.from(hex, 'hex');
const chained = (before, entry) => hash(before, hash(bytes(entry.form)), bytes(entry.result)).toString('hex');

// The first entry whose chain is not what its parts make; null when all are.
export function broken(entries) {
  let before = Buffer.alloc(32);
  for (const entry of entries) {
    if (chained(before, entry) !== entry.chain) return entry.seq;
    before = bytes(entry.chain);
  }
  return null;
}
