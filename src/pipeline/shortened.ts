const longestLogged = 1000;

/** So that a very long prompt does not fill the prediction's logs. */
export function shortened(text: string): string {
  return text.length > longestLogged ? `${text.slice(0, longestLogged)} …` : text;
}
