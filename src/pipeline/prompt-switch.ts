/** PhotoMaker's delayed prompt switch: the first steps lay the picture out without the identity. */

const latestSwitch = 30;

/**
 * The last step (from 0) that sees the prompt without identity. After TencentARC/PhotoMaker at 6ec44fc `predict.py`.
 *
 * @param ratio percent of the steps, `style_strength_ratio`
 */
export function lastPlainStep(ratio: number, steps: number): number {
  // In this order: 29 / 100 * 100 is a little below 29.
  return Math.min(latestSwitch, Math.trunc((ratio / 100) * steps));
}

/** The prompt that a step (from 0) sees. */
export function promptOfStep<Prompt>(step: number, lastPlain: number, plain: Prompt, identity: Prompt): Prompt {
  return step <= lastPlain ? plain : identity;
}
