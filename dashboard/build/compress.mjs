// Writes `.br` and `.gz` beside every file of dist/ that they make smaller, and says how large the first load is.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url).pathname;
const sizes = new Map();

for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name);
  if (!entry.isFile() || entry.name.startsWith('.') || /\.(br|gz)$/.test(path)) continue;
  const plain = readFileSync(path);
  const brotli = brotliCompressSync(plain, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length },
  });
  const gzip = gzipSync(plain, { level: 9 });
  if (brotli.length < plain.length) writeFileSync(`${path}.br`, brotli);
  if (gzip.length < plain.length) writeFileSync(`${path}.gz`, gzip);
  sizes.set(path.slice(dist.length), { plain: plain.length, gzip: gzip.length, brotli: brotli.length });
}

// Git keeps the folder, so that the binary can embed what is in it even when nothing was built.
writeFileSync(join(dist, '.gitkeep'), '');

// What index.html names itself is the first load; everything else comes when a page needs it.
const index = readFileSync(join(dist, 'index.html'), 'utf8');
const first = ['index.html', ...[...index.matchAll(/(?:src|href)="\/([^"]+)"/g)].map((match) => match[1])];
const sum = (names, kind) => names.reduce((total, name) => total + (sizes.get(name)?.[kind] ?? 0), 0);
const kib = (bytes) => (bytes / 1024).toFixed(1);
console.log(`first load: ${kib(sum(first, 'gzip'))} KiB gzip, ${kib(sum(first, 'brotli'))} KiB brotli`);
console.log(`everything: ${kib(sum([...sizes.keys()], 'gzip'))} KiB gzip`);
const most = 150 * 1024;
if (sum(first, 'gzip') > most) {
  console.error(`the first load is larger than ${kib(most)} KiB gzip`);
  process.exit(1);
}
