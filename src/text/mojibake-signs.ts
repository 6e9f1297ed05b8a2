/**
 * Which neighbours in a text show that it was written in one encoding and read in another: `Ã©` was an é. After
 * https://github.com/rspeer/python-ftfy/blob/v6.2.0/ftfy/badness.py and chardata.py#L252-L316 there (Apache 2.0,
 * copyright 2023 Robyn Speer), whose author found the classes and sequences in texts from the web.
 */

/** White space and parts of words as Python's `re` sees them. */
const blank = '\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const word = '\\p{L}\\p{N}_';

/** Ranges of characters, as between the brackets of a regular expression. */
const common = '\\xa0\\xad·´–—―…’';
const controls = '\\x80-\\x9f';
const bad = '¦¤¨¬¯¶§¸ƒˆˇ˘˛˜†‡‰⌐◊\\ufffdªº';
const currency = '¢£¥₧€';
const opening = '¡«¿©΄΅‘‚“„•‹\\uf8ff';
const closing = '®»˝”›™';
const numeric = '²³¹±¼½¾×µ÷⁄∂∆∏∑√∞∩∫≈≠≡≤≥№';
/** Letters and signs that faces are drawn of. */
const faces = 'Ò-ÖÙ-Üò-öø-üŐ°';
const upperAccented = 'À-ÑØÜÝĂĄĆČĎĐĘĚĞİĹĽŁŃŇŒŘŚŞŠŢŤŮŰŸŹŻŽҐ';
const lowerAccented = 'ßà-ñăąćčďđęěğĺľłœŕśşšťüźżžґﬁﬂ';
const upper = 'ÞΑ-ΩΆΈΉΊΌΎΏΪΫЁ-Я';
const lower = 'α-ωάέήίΰа-џ';
const box = '│┌┐┘├┤┬┼═-╬▀▄█▌▐░▒▓';

const sequences: readonly string[] = [
  `[${controls}]`,
  `[${bad}${lowerAccented}${upperAccented}${box}${opening}${closing}${currency}${numeric}][${bad}]`,
  `[a-zA-Z][${lower}${upper}][${bad}]`,
  `[${bad}][${lowerAccented}${upperAccented}${box}${opening}${closing}${currency}${numeric}]`,
  `[${lowerAccented}${lower}${box}${closing}${currency}${numeric}][${upperAccented}]`,
  `[${box}${closing}${currency}${numeric}][${lowerAccented}]`,
  `[${lowerAccented}${box}${closing}][${currency}]`,
  `[${blank}][${upperAccented}][${currency}]`,
  `[${upperAccented}${box}][${numeric}]`,
  `[${lowerAccented}${upperAccented}${box}${currency}${closing}][${opening}][${numeric}]`,
  `[${lowerAccented}${upperAccented}${currency}${numeric}${box}][${closing}][${opening}]`,
  `[${currency}${numeric}${box}][${opening}]`,
  `[a-z][${upperAccented}][${opening}${currency}]`,
  `[${box}][${faces}]`,
  `[${lowerAccented}${upperAccented}${currency}${numeric}${opening}${closing}][${box}]`,
  `[${box}][${closing}]`,
  `[${lowerAccented}${upperAccented}][${closing}][${word}]`,
  '[Œœ][^A-Za-z]',
  // Windows-1252
  `[ÂÃÎÐ][€Šš¢£Ÿž\\xa0\\xad®©°·»${opening}${closing}–—´]`,
  '×[²³]',
  `(?:[ØÙ][${common}${currency}${bad}${numeric}${opening}ŸŠ®°µ»]){2}`,
  'à[²µ¹¼½¾]',
  // MacRoman
  '√[±∂†≠®™´≤≥¥µø]',
  '≈[°¢]',
  '‚Ä[ìîïòôúùû†°¢π]',
  '‚[âó][àä°ê]',
  // Windows-1251
  'вЂ',
  `[ВГРС][${controls}${bad}${opening}${closing}${currency}°µ][ВГРС]`,
  'ГўВЂВ[^\\n][A-Za-z ]',
  // à, á and the blank of fixed width in Windows-1252
  'Ã[\\xa0¡]',
  `[a-z][${blank}]?[ÃÂ][ ]`,
  '^[ÃÂ][ ]',
  `[a-z.,?!${closing}]Â[ ${opening}${closing}]`,
  // Windows-1253
  'β€[™\\xa0Ά\\xad®°]',
  `[ΒΓΞΟ][${controls}${bad}${opening}${closing}${currency}°][ΒΓΞΟ]`,
];

const signs = new RegExp(sequences.join('|'), 'u');

export function isMisread(text: string): boolean {
  return signs.test(text);
}

/** Bytes of UTF-8, as the code pages show them: the first one of two, of three and of four, and those that follow. */
const firstOfTwo =
  'ÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßĂĆČĎĐĘĚĞİĹŃŇŐŘŞŢŮŰ' + 'ΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫάέήίВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ';
const firstOfThree = 'àáâãäåæçèéêëìíîïăćčďęěĺŕΰαβγδεζηθικλμνξοабвгдежзийклмноп';
const firstOfFour = 'ðóđğπσру';
const following = '\\x80-\\xbfĄąĽľŁłŒœŚśŞşŠšŤťŸŹźŻżŽžƒˆˇ˘˛˜˝΄΅ΆΈΉΊΌΎΏЁЂЃЄЅІЇЈЉЊЋЌЎЏёђѓєѕіїјљњћќўџҐґ' + '†‡•‰‹›€№™';
/** These stand for themselves as often; the blank may have been one of fixed width. */
const orSigns = '–—―‘’‚“”„… ';

/** Every run of what looks like bytes of UTF-8, not in the middle of one. */
export const bytesInText = new RegExp(
  `(?<![${following}])(?:[${firstOfTwo}][${following}${orSigns}]|[${firstOfThree}][${following}${orSigns}]{2}|` +
    `[${firstOfFour}][${following}${orSigns}]{3})+`,
  'gu',
);
