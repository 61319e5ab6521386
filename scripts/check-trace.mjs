// Loads traces into Perfetto's trace_processor (its WASM build) and compares what Perfetto found with what Weft says of
// them. Called by scripts/check-trace, which sees to node and the package.
//   node check-trace.mjs ENGINE_FOLDER SUMMARIES.json [--together] FILE...
//   node check-trace.mjs ENGINE_FOLDER - --sql QUERY FILE...
//   node check-trace.mjs ENGINE_FOLDER RESULT.json --cores FILE
// trace_processor accepts broken files quietly, so every count is asserted.
import fs from 'node:fs';
import path from 'node:path';
import {pathToFileURL} from 'node:url';

const [folder, summariesPath, ...rest] = process.argv.slice(2);
const together = rest[0] === '--together', sql = rest[0] === '--sql' ? rest[1] : null;
const ofCores = rest[0] === '--cores', files = rest.slice(together || ofCores ? 1 : sql ? 2 : 0);
const summaries = sql ? [] : JSON.parse(fs.readFileSync(summariesPath, 'utf8'));

// What the engine says that is no news: its progress, calls that WASM lacks, result fields newer than its reader.
for (const name of ['log', 'warn', 'error']) {
  const say = console[name].bind(console);
  console[name] = (...words) => /^(Loading trace|warning: unsupported syscall|Unexpected QueryResult field|\s*$)/.test(words.join(' ')) || say(...words);
}
const write = process.stderr.write.bind(process.stderr);
process.stderr.write = (text, ...more) => /^(\s*Loading trace|\s*$)/.test(String(text)) ? true : write(text, ...more);
const {EngineBase} = await import(pathToFileURL(path.join(folder, 'engine.mjs')));

// The bundle is a browser worker: it wants a worker's global scope and reads its .wasm by XMLHttpRequest. It gets both from
// here. It must not find 64-bit memory (newer node has it), because the package holds only the 32-bit .wasm.
class FileRequest {
  open(method, url) { this.path = path.join(folder, path.basename(url)); }
  send() { const bytes = fs.readFileSync(this.path); this.response = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length); }
}
const wasm32 = new Proxy(WebAssembly, {get: (target, key) => key !== 'Module' ? target[key] : class extends target.Module {
  constructor(bytes) {  // the bundle's probe is a module whose first section (byte 8) is 5, memory
    if (bytes[8] === 5) throw new TypeError('no 64-bit memory here');
    super(bytes);
  }
}});
const bundle = fs.readFileSync(path.join(folder, 'engine_bundle.node.js'), 'utf8');

class Engine extends EngineBase {
  id = 'check-trace';
  mode = 'WASM';
  async start() {
    const self = {location: {href: pathToFileURL(path.join(folder, 'engine_bundle.node.js')).href}};
    new Function('self', 'WorkerGlobalScope', 'XMLHttpRequest', 'WebAssembly', bundle)(self, Object, FileRequest, wasm32);
    this.port = {postMessage: (bytes) => this.onRpcResponseBytes(bytes)};
    self.onmessage({data: this.port});
    await new Promise((resolve) => setTimeout(resolve, 0));  // the module's own set-up runs after its promise
  }
  rpcSendRequestBytes(bytes) { this.port.onmessage({data: bytes}); }
}

async function load(paths) {
  const engine = new Engine();
  await engine.start();
  for (const file of paths) {
    const bytes = fs.readFileSync(file);
    for (let at = 0; at < bytes.length; at += 16 << 20) await engine.parse(new Uint8Array(bytes.subarray(at, at + (16 << 20))));
  }
  await engine.notifyEof();
  return engine;
}

// Two files cannot be gzip and one stream at once, so --together joins plain files only.
async function number(engine, sql) {
  const result = await engine.query(sql, 'check');
  return Number(result.firstRow({value: 0}).value);
}

async function rows(engine, sql, spec) {
  const result = await engine.query(sql, 'check'), found = [];
  for (const it = result.iter(spec); it.valid(); it.next()) found.push(Object.fromEntries(Object.keys(spec).map((key) => [key, it[key]])));
  return found;
}

async function check(paths, expected) {
  const engine = await load(paths);
  const ours = (key) => expected.reduce((sum, e) => sum + e.trace[key], 0);
  const of = (by, name, key) => expected.reduce((sum, e) => sum + (e.rows.find((r) => r.by === by && r.name === name)?.[key] ?? 0), 0);
  const facts = [];
  const expect = async (what, wanted, sql) => facts.push({what, wanted, found: await number(engine, sql)});
  await expect('slices', ours('events'), `SELECT count(*) AS value FROM slice WHERE category != 'weft'`);
  await expect('headers', expected.length, `SELECT count(*) AS value FROM slice WHERE category = 'weft' AND name = 'weft trace'`);
  await expect('slices in all', ours('events') + expected.length, 'SELECT count(*) AS value FROM slice');
  for (const queue of [...new Set(expected.flatMap((e) => e.rows.filter((r) => r.by === 'queue').map((r) => r.name)))])
    await expect(`slices of ${queue}`, of('queue', queue, 'events'), `SELECT count(*) AS value FROM slice WHERE category = '${queue}'`);
  await expect('slices without a name', 0, `SELECT count(*) AS value FROM slice WHERE name IS NULL OR name = ''`);
  await expect('slices that never end', 0, 'SELECT count(*) AS value FROM slice WHERE dur < 0');
  await expect('slices inside others', 0, 'SELECT count(*) AS value FROM slice WHERE depth > 0');
  await expect('bytes of all slices', of('all', 'all', 'bytes'),
               `SELECT coalesce(sum(extract_arg(arg_set_id, 'debug.bytes')), 0) AS value FROM slice`);
  await expect('busy ns of all slices', Math.round(of('all', 'all', 'busy_s') * 1e9),
               `SELECT coalesce(sum(extract_arg(arg_set_id, 'debug.busy_ns')), 0) AS value FROM slice`);
  await expect('span ns', Math.max(...expected.map((e) => Math.round(e.trace.span_s * 1e9))), `SELECT coalesce(max(span), 0) AS value FROM (
      SELECT max(ts + dur) - min(ts) AS span FROM slice JOIN process_track t ON track_id = t.id WHERE category != 'weft' GROUP BY t.upid)`);
  await expect('flows', ours('flows'), 'SELECT count(*) AS value FROM flow');
  await expect('flows against the stream', 0, `SELECT count(*) AS value FROM flow f JOIN slice a ON f.slice_out = a.id
      JOIN slice b ON f.slice_in = b.id WHERE NOT (a.category = 'stream-in' AND b.category = 'compute')
      AND NOT (a.category = 'compute' AND b.category = 'stream-out')`);
  await expect('counter samples', ours('counter_samples'), 'SELECT count(*) AS value FROM counter');
  await expect('processes named by kind', expected.length,
               `SELECT count(*) AS value FROM process WHERE name GLOB 'simulated: *' OR name GLOB 'measured: *'`);
  await expect('errors and losses at import', 0,
               `SELECT coalesce(sum(value), 0) AS value FROM stats WHERE severity IN ('error', 'data_loss')`);
  for (const s of await rows(engine, `SELECT name, value FROM stats WHERE severity IN ('error', 'data_loss') AND value > 0`, {name: 'str', value: 0}))
    facts.push({what: `  ${s.name}`, wanted: 0, found: Number(s.value)});
  return facts;
}

// The trace of a whole mesh and run, and the tables of cores and links that the same command printed.
async function checkCores(file, result) {
  const engine = await load([file]), facts = [];
  const expect = async (what, wanted, sql) => facts.push({what, wanted, found: await number(engine, sql)});
  const spent = new Map(), words = new Map();
  for (const r of await rows(engine, `SELECT t.name AS track, category, s.name AS name, sum(dur) AS ns FROM slice s
      JOIN track t ON s.track_id = t.id WHERE category != 'instruction' GROUP BY t.name, category, s.name`, {track: 'str', category: 'str', name: 'str', ns: 0}))
    for (const key of [`${r.track} ${r.category}`, `${r.track} ${r.category} ${r.name}`]) spent.set(key, (spent.get(key) ?? 0) + Number(r.ns));
  for (const r of await rows(engine, `SELECT name, sum(words) AS words FROM (
      SELECT t.name AS name, value * (lead(ts) OVER (PARTITION BY c.track_id ORDER BY ts) - ts) AS words FROM counter c
      JOIN counter_track t ON c.track_id = t.id) GROUP BY name`, {name: 'str', words: 0}))
    words.set(r.name, r.words);
  const compare = (what, wanted, found) => facts.push({what, wanted, found: found ?? 0});
  for (const core of result.cores) {
    const track = `core (${core.x}, ${core.y})`, of = (key) => spent.get(`${track} ${key}`) ?? 0;
    compare(`${track} idle`, core.idle_cycles, result.cycles - of('task'));
    compare(`${track} busy`, core.busy_cycles, of('task') - of('stall'));
    compare(`${track} receive`, core.receive_cycles, of('stall waits to receive'));
    compare(`${track} send`, core.send_cycles, of('stall waits to send'));
    compare(`${track} microthread`, core.microthread_cycles, of('stall waits for a microthread'));
  }
  for (const link of result.links) compare(`router (${link.x}, ${link.y}) ${link.port}`, link.wavelets, words.get(`router (${link.x}, ${link.y}) ${link.port}`));
  compare('all links', result.link_hops, [...words].reduce((sum, [name, count]) => sum + (name.endsWith(' ramp') ? 0 : count), 0));
  compare('through ramps', result.ramp_hops, [...words].reduce((sum, [name, count]) => sum + (name.endsWith(' ramp') ? count : 0), 0));
  await expect('slices without a name', 0, `SELECT count(*) AS value FROM slice WHERE name IS NULL OR name = ''`);
  await expect('slices that never end', 0, 'SELECT count(*) AS value FROM slice WHERE dur < 0');
  await expect('stalls that hold others', 0, `SELECT count(*) AS value FROM slice s JOIN slice p ON s.parent_id = p.id WHERE p.category = 'stall'`);
  await expect('instructions outside tasks', 0, `SELECT count(*) AS value FROM slice s JOIN track t ON s.track_id = t.id
      LEFT JOIN slice p ON s.parent_id = p.id WHERE s.category = 'instruction' AND t.name NOT GLOB '* microthread *' AND p.category IS NOT 'task'`);
  await expect('errors and losses at import', 0,
               `SELECT coalesce(sum(value), 0) AS value FROM stats WHERE severity IN ('error', 'data_loss')`);
  return facts;
}

let failed = 0;
function print(title, facts) {
  console.log(`${title}\n  ${'what'.padEnd(28)} ${'Weft'.padStart(16)} ${'Perfetto'.padStart(16)}`);
  for (const {what, wanted, found} of facts) {
    // Sums of nanoseconds pass through seconds in the summary; beyond 2^53 ns (104 days) they are rounded.
    const good = wanted === found || (what.includes(' ns') && Math.abs(wanted - found) <= 1e-12 * wanted);
    failed += good ? 0 : 1;
    console.log(`  ${what.padEnd(28)} ${String(wanted).padStart(16)} ${String(found).padStart(16)}${good ? '' : '  DIFFERS'}`);
  }
}

async function ask(paths, query) {
  const result = await (await load(paths)).query(query, 'ask'), columns = result.columns();
  const table = [columns];
  for (const it = result.iter(Object.fromEntries(columns.map((c) => [c, undefined]))); it.valid(); it.next()) table.push(columns.map((c) => String(it[c] ?? '')));
  const widths = columns.map((_, c) => Math.max(...table.map((row) => row[c].length)));
  for (const row of table) console.log(row.map((cell, c) => cell.padEnd(widths[c])).join('  ').trimEnd());
  process.exit(0);
}

if (sql) await ask(files, sql);
if (ofCores) print(files[0], await checkCores(files[0], summaries));
else if (together) print(files.join(' + '), await check(files, summaries));
else for (let f = 0; f < files.length; ++f) print(files[f], await check([files[f]], [summaries[f]]));
console.log(failed ? `${failed} of these differ` : 'Perfetto agrees with Weft');
process.exit(failed ? 1 : 0);
