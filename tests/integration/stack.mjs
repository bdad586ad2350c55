// Real servers for a test: what k8s/stack starts, in a folder of its own. They end, and the folder
// goes, when this process ends, however that happens.
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const SCRIPT = new URL('../../k8s/stack', import.meta.url).pathname;
const run = promisify(execFile);

export class Stack {
  // `parts` of k8s/stack; all of it without any.
  static async start(...parts) {
    const stack = new Stack();
    stack.folder = mkdtempSync(join(tmpdir(), 'qb-stack-'));
    await stack.up(...parts);
    return stack;
  }

  async ask(command, ...words) {
    return (await run(SCRIPT, [command, '--dir', this.folder, ...words])).stdout;
  }

  // Starts what does not run; afterwards `values` holds what it exports: {DATABASE_URL: …}.
  async up(...parts) {
    await this.ask('up', '--with', String(process.pid), ...parts);
    const lines = readFileSync(join(this.folder, 'env'), 'utf8').trim().split('\n');
    this.values = Object.fromEntries(lines.map((line) => /^export (\w+)=(.*)$/.exec(line).slice(1)));
  }

  async down() { await this.ask('down'); }

  async kill(name) { await this.ask('kill', name); }

  async revive(name) { await this.ask('start', name); }

  async freeze(name) { await this.ask('freeze', name); }

  async thaw(name) { await this.ask('thaw', name); }

  async wipe(name) { await this.ask('wipe', name); }

  // {name: {isUp, port}}
  async status() {
    const lines = (await this.ask('status')).trim().split('\n');
    return Object.fromEntries(lines.map((line) => {
      const [name, state, address] = line.split(/\s+/);
      return [name, { isUp: state === 'up', port: Number(address.split(':')[1]) }];
    }));
  }

  // Ends everything at once: for the end of a test.
  stop() {
    execFileSync(SCRIPT, ['down', '--now', '--dir', this.folder]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// Runs `body` with a stack that is stopped whatever happens.
export async function withStack(parts, body) {
  const stack = await Stack.start(...parts);
  try {
    await body(stack);
  } finally {
    stack.stop();
  }
}
