// A page whose service worker computes, and answers a request with the results.
const active = new Promise((resolve) => {
  navigator.serviceWorker.oncontrollerchange = resolve;
});
const answered = navigator.serviceWorker
  .register('./service-worker.js')
  .then(() => active)
  .then(() => fetch('./computed'))
  .then((response) => response.json());
globalThis.result = answered.catch((error) => ({ error: String(error) }));
