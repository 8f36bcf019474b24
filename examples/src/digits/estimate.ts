/**
 * A function that is called after every epoch of some networks: after the first one it says how long the others take.
 *
 * @param say what is done with the sentence; by default it goes to standard error
 */
export function estimate(networks: number, epochs: number, say = (line: string) => console.error(line)): () => void {
  const start = performance.now();
  let isFirst = true;
  return () => {
    const others = networks * epochs - 1;
    if (isFirst && others > 0) {
      const seconds = Math.ceil(((performance.now() - start) * others) / 1000);
      const time = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
      const of = networks > 1 ? `, with ${networks} networks of ${epochs}` : '';
      say(`about ${time} for the other ${others > 1 ? `${others} epochs` : 'epoch'}${of}`);
    }
    isFirst = false;
  };
}
