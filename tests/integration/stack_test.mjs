// The stack that tests and developers stand on: it answers, survives kill -9, and leaves nothing.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { once } from 'node:events';
import { test } from 'node:test';
import { until } from './kit.mjs';
import { Stack, withStack } from './stack.mjs';

const redis = (url, ...words) => execFileSync('redis-cli', ['--no-auth-warning', '-u', url, ...words], { encoding: 'utf8' }).trim();
const psql = (url, sql) => execFileSync('psql', ['-qAtX', url, '-c', sql], { encoding: 'utf8' }).trim();

// The first byte that a broker sends back for the header of AMQP 0-9-1: a method frame's.
async function amqpAnswers(url) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.write('AMQP\0\0\x09\x01');
  const [bytes] = await once(socket, 'data');
  socket.destroy();
  return bytes[0];
}

// Processes that have the folder in their command line or environment, or work in it.
function processesOf(folder) {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid).filter((pid) => {
    try {
      return ['cmdline', 'environ'].some((file) => readFileSync(`/proc/${pid}/${file}`, 'latin1').includes(folder));
    } catch {
      return false; // it has ended meanwhile
    }
  });
}

test('all servers answer, keep their data through kill -9 and a stop, and leave no process', async () => {
  await withStack([], async (stack) => {
    const began = stack.values;
    const [found0, shard1] = began.REDIS_URL.split(',');
    const [operator0] = began.REDIS_OPERATOR_URL.split(',');
    assert.match(found0, /^redis\+sentinel:.*\/shard-0\?/, 'the program finds the primary of shard 0 through Sentinel');
    const shard0 = operator0.replace(/\/\/.*@/, /\/\/.*@/.exec(shard1)[0]); // as the application
    assert.equal(statSync(join(stack.folder, 'env')).mode & 0o777, 0o600);
    assert.equal(redis(shard0, 'ping'), 'PONG');
    assert.equal(redis(shard1, 'ping'), 'PONG');
    assert.equal(await amqpAnswers(began.RABBITMQ_URL), 1);
    psql(began.DATABASE_URL, 'create table kept (a int); insert into kept values (7)');
    const replicas = began.DATABASE_REPLICA_URLS.split(',');
    assert.equal(replicas.length, 2);
    for (const url of replicas) {
      assert.equal(psql(url, 'select pg_is_in_recovery()'), 't');
      await until(() => { try { return psql(url, 'table kept') === '7'; } catch { return false; } }, 'the replica has it');
    }
    redis(operator0, 'hset', 'qb:{q0}:1:state', 'seq', '5');

    for (const name of ['redis-0', 'postgres', 'postgres-replica-1', 'rabbitmq']) {
      await stack.kill(name);
      assert.equal((await stack.status())[name].isUp, false, name);
      await stack.revive(name);
      assert.equal((await stack.status())[name].isUp, true, name);
    }
    const after = async (what) => {
      assert.equal(psql(began.DATABASE_URL, 'table kept'), '7', what);
      assert.equal(redis(shard0, 'hget', 'qb:{q0}:1:state', 'seq'), '5', what);
      assert.equal(await amqpAnswers(began.RABBITMQ_URL), 1, what);
    };
    await after('killed');

    await stack.down();
    assert.deepEqual(processesOf(stack.folder), []);
    await stack.up(); // parts are remembered
    // On a slow machine the sentinel has promoted the replica meanwhile: the operator goes there directly.
    assert.deepEqual({ ...stack.values, REDIS_OPERATOR_URL: '' }, { ...began, REDIS_OPERATOR_URL: '' });
    await after('stopped');
  });
});

test('the application can neither load scripts nor change the epoch', async () => {
  await withStack(['redis-single'], async ({ values }) => {
    const application = values.REDIS_URL;
    const refused = (...words) => assert.match(redis(application, ...words), /^NOPERM/, words.join(' '));
    const sha = redis(values.REDIS_COORDINATOR_URL, 'script', 'load', "return redis.call('XADD', KEYS[1], '1-0', 'a', 'b')");
    assert.equal(redis(values.REDIS_COORDINATOR_URL, 'set', 'qb:{q0}:epoch', '3'), 'OK');
    assert.equal(redis(application, 'get', 'qb:{q0}:epoch'), '3');
    assert.equal(redis(application, 'evalsha', sha, '1', 'qb:{q0}:000000000000002a:stream'), '1-0');
    refused('set', 'qb:{q0}:epoch', '4');
    refused('evalsha', sha, '1', 'qb:{q0}:epoch');
    refused('eval', 'return 1', '0');
    refused('script', 'load', 'return 1');
    refused('script', 'flush');
    refused('flushall');
    refused('config', 'set', 'appendfsync', 'no');
  });
});

test('servers end with the process that wanted them, also when it is killed', async () => {
  const code = `import { Stack } from ${JSON.stringify(new URL('./stack.mjs', import.meta.url).href)};
    console.log((await Stack.start('redis-single')).folder); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const folder = String((await once(child.stdout, 'data'))[0]).trim();
  assert.ok(existsSync(join(folder, 'env')));
  child.kill('SIGKILL');
  await until(() => !existsSync(folder) && processesOf(folder).length === 0, 'folder and processes are gone');
});

test('a start after a crash of the whole machine', async () => {
  const stack = await Stack.start('redis-single', 'postgres-single');
  try {
    psql(stack.values.DATABASE_URL, 'create table kept (a int)');
    for (const name of readdirSync(join(stack.folder, 'run')).filter((name) => name !== 'guard')) {
      process.kill(Number(readFileSync(join(stack.folder, 'run', name), 'utf8').split(' ')[0]), 'SIGKILL');
    }
    await stack.up();
    assert.equal(psql(stack.values.DATABASE_URL, 'select count(*) from kept'), '0');
    assert.equal(redis(stack.values.REDIS_URL, 'ping'), 'PONG');
  } finally {
    stack.stop();
  }
});
