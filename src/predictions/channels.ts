/** What is announced over the database (`Database.notify`). A message may be lost: all listeners also look. */
export const channels = {
  /** A prediction waits for a host. */
  waiting: 'darkroom_waiting',
  /** Payload: the id of a prediction whose running engine should stop. */
  cancel: 'darkroom_cancel',
  /** Payload: the id of a prediction of which one more output is finished. */
  output: 'darkroom_output',
  /** Payload: the id of a prediction whose logs have grown. */
  logged: 'darkroom_logged',
  /** Payload: the id of a running prediction that somebody watches; said again every few seconds. */
  watched: 'darkroom_watched',
  /** Payload: the id of a watched prediction, a space, and how it looks now, as a data URL. */
  preview: 'darkroom_preview',
  /** Payload: the id of a prediction that has ended. */
  ended: 'darkroom_ended',
  /** Payload: the id of a prediction whose data were removed. */
  removed: 'darkroom_removed',
} as const;
