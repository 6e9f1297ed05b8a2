import { isTerminal, type Prediction } from '../predictions/prediction.ts';
import { predictionJson } from '../predictions/prediction-json.ts';

/** Of predictions that change no more: clients that poll ask for the same text again. */
const written = new WeakMap<Prediction, { origin: string; text: string }>();

/** The JSON of a prediction, as text. */
export function predictionText(prediction: Prediction, origin: string): string {
  const before = written.get(prediction);
  if (before?.origin === origin) return before.text;
  const text = JSON.stringify(predictionJson(prediction, origin));
  if (isTerminal(prediction.status)) written.set(prediction, { origin, text });
  return text;
}
