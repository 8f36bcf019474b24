import { Kept } from './kept.js';
import type { PanelName } from './location.js';

/** The panels whose run goes on while another one is shown. */
export const running = new Kept<Partial<Record<PanelName, boolean>>>({});
