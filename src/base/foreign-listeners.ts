/**
 * Loads a library that Emscripten has made, without its listeners for errors of the whole process, which throw them again
 * or abort the library. They are not its business.
 */
export function withoutItsListeners<Library>(load: () => Library): Library {
  const events = ['uncaughtException', 'unhandledRejection'];
  const before = events.map((event) => process.listeners(event as NodeJS.Signals));
  const library = load();
  for (const [index, event] of events.entries()) {
    for (const listener of process.listeners(event as NodeJS.Signals)) {
      if (!before[index]!.includes(listener)) process.off(event, listener);
    }
  }
  return library;
}
