/** Ends with 0 when networks can run on the device that its argument names. A process of its own: the server never loads
 * ONNX Runtime, and a broken driver must not take it along. */
import { runsOn } from '../runtime/device.ts';

process.exit((await runsOn(process.argv[2] ?? '')) ? 0 : 1);
