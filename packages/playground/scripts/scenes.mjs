// The scenes of the screenshots, and how to reach them.

/** Each scene: the page's state as in its URL, and the actions and waits before the picture. */
export const scenes = {
  explore: {
    hash: 'explore',
    prepare: (page) => page.waitForSelector('.product-table .strong'),
  },
  'explore-wide': {
    hash: 'explore?x=2,-1,0.5,3,-2,1;0,0,0,0,0,0&g=0,0,0,1,0,0;1,0,0,0,0,0&t=1.4',
    prepare: (page) => page.waitForSelector('.product-table .strong'),
  },
  doctor: {
    hash: 'doctor',
    prepare: async (page) => {
      await page.getByRole('button', { name: 'J.sum(axis=1)' }).click();
      await page.waitForSelector('.remedy');
    },
  },
  conformance: {
    hash: 'conformance?backend=cpu',
    prepare: async (page) => {
      await page.getByRole('button', { name: 'Run the suite' }).click();
      await page.getByRole('button', { name: 'Download JSON' }).waitFor();
    },
  },
  bench: {
    hash: 'bench?rounds=5',
    prepare: async (page) => {
      await page.getByRole('button', { name: 'Run', exact: true }).click();
      await page.getByRole('button', { name: 'Download JSON' }).waitFor();
      await page.waitForSelector('.chart');
      await page.waitForTimeout(500);
    },
  },
};
