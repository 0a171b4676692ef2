import { defineConfig } from 'vite';

// The API that `npm run dev` passes calls on to.
const api = process.env['CANDLEMILL_API_URL'] ?? 'http://127.0.0.1:8080';

export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // The policy forbids data: scripts and styles, and a polyfill would be an inline one.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: Object.fromEntries(
      ['/api', '/api-docs', '/docs', '/readyz', '/healthz', '/problems', '/metrics'].map((path) => [path, api]),
    ),
  },
});
