import { conformanceTogether } from './vitest.shared.ts';

export default conformanceTogether();
