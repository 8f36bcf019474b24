import { type Backend, setBackend } from 'softgrad';

/** Opens the backend given on the command line, or the fastest one that can run here, and sets it for new tensors. */
export function chooseBackend(name: string | undefined): Promise<Backend> {
  return name === undefined ? setBackend('wasm', 'cpu') : setBackend(name);
}
