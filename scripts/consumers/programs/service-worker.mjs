import { compute } from './compute.mjs';

addEventListener('install', () => skipWaiting());
addEventListener('activate', (event) => event.waitUntil(clients.claim()));
addEventListener('fetch', (event) => {
  if (event.request.url.endsWith('/computed')) event.respondWith(compute().then((found) => Response.json(found)));
});
