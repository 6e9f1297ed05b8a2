/**
 * The encodings of one byte a character that texts were most often misread in, and texts written back into them. Bytes
 * are characters up to U+00FF here, so that regular expressions can look at them.
 *
 * The order is the one in which ftfy tries them:
 * https://github.com/rspeer/python-ftfy/blob/v6.2.0/ftfy/chardata.py#L13-L25 and bad_codecs/sloppy.py there.
 */
export interface CodePage {
  name: string;
  /** Of each byte from 0x80 to 0xff. What a code page of Windows leaves out is the control character of that number. */
  characters: string;
  /** Byte 0x1a stands for U+FFFD, which is what a reader shows for a byte that was lost. */
  hasLost: boolean;
}

export const codePages: readonly CodePage[] = [
  {
    name: 'latin-1',
    characters: Array.from({ length: 128 }, (_, index) => String.fromCharCode(0x80 + index)).join(''),
    hasLost: false,
  },
  {
    name: 'windows-1252',
    characters:
      '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ' +
      '\xa0¡¢£¤¥¦§¨©ª«¬\xad®¯°±²³´µ¶·¸¹º»¼½¾¿' +
      'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞß' +
      'àáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ',
    hasLost: true,
  },
  {
    name: 'windows-1251',
    characters:
      'ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\x98™љ›њќћџ' +
      '\xa0ЎўЈ¤Ґ¦§Ё©Є«¬\xad®Ї°±Ііґµ¶·ё№є»јЅѕї' +
      'АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ' +
      'абвгдежзийклмнопрстуфхцчшщъыьэюя',
    hasLost: true,
  },
  {
    name: 'windows-1250',
    characters:
      '€\x81‚\x83„…†‡\x88‰Š‹ŚŤŽŹ\x90‘’“”•–—\x98™š›śťžź' +
      '\xa0ˇ˘Ł¤Ą¦§¨©Ş«¬\xad®Ż°±˛ł´µ¶·¸ąş»Ľ˝ľż' +
      'ŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢß' +
      'ŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙',
    hasLost: true,
  },
  {
    name: 'windows-1253',
    characters:
      '€\x81‚ƒ„…†‡\x88‰\x8a‹\x8c\x8d\x8e\x8f\x90‘’“”•–—\x98™\x9a›\x9c\x9d\x9e\x9f' +
      '\xa0΅Ά£¤¥¦§¨©ª«¬\xad®―°±²³΄µ¶·ΈΉΊ»Ό½ΎΏ' +
      'ΐΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡÒΣΤΥΦΧΨΩΪΫάέήί' +
      'ΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώÿ',
    hasLost: true,
  },
  {
    name: 'windows-1254',
    characters:
      '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8d\x8e\x8f\x90‘’“”•–—˜™š›œ\x9d\x9eŸ' +
      '\xa0¡¢£¤¥¦§¨©ª«¬\xad®¯°±²³´µ¶·¸¹º»¼½¾¿' +
      'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏĞÑÒÓÔÕÖ×ØÙÚÛÜİŞß' +
      'àáâãäåæçèéêëìíîïğñòóôõö÷øùúûüışÿ',
    hasLost: true,
  },
  {
    name: 'iso-8859-2',
    characters:
      '\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9a\x9b\x9c\x9d\x9e\x9f' +
      '\xa0Ą˘Ł¤ĽŚ§¨ŠŞŤŹ\xadŽŻ°ą˛ł´ľśˇ¸šşťź˝žż' +
      'ŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢß' +
      'ŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙',
    hasLost: false,
  },
  {
    name: 'macroman',
    characters:
      'ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü' +
      '†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø' +
      '¿¡¬√ƒ≈∆«»…\xa0ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ' +
      '‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\uf8ffÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ',
    hasLost: false,
  },
  {
    name: 'cp437',
    characters:
      'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ' +
      'áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐' +
      '└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀' +
      'αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\xa0',
    hasLost: false,
  },
];

/** What the control characters above ASCII were on Windows; five of them were nothing. */
export const windowsControls = codePages.find(({ name }) => name === 'windows-1252')!.characters.slice(0, 32);

const lost = '\ufffd';
const lostByte = '\x1a';
const bytes = new Map(codePages.map((page) => [page, bytesOf(page)]));

/** @returns the bytes, or `undefined` where one of the characters is not in the code page */
export function writeIn(page: CodePage, text: string): string | undefined {
  const byteOf = bytes.get(page)!;
  let written = '';
  for (const character of text) {
    const byte = byteOf.get(character);
    if (byte === undefined) return undefined;
    written += byte;
  }
  return written;
}

function bytesOf({ characters, hasLost }: CodePage): Map<string, string> {
  const ascii = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));
  const own = Array.from(characters, (character, index) => [character, String.fromCharCode(0x80 + index)] as const);
  const found = new Map([...ascii.map((character) => [character, character] as const), ...own]);
  if (hasLost) {
    found.delete(lostByte);
    found.set(lost, lostByte);
  }
  return found;
}
