import { expect, test } from 'vitest';
import { locateWeights } from '../weights/locate.ts';
import { antelopev2, logFaceLicence } from './antelopev2.ts';

test('the notice says what the published files may be used for, and where that stands', () => {
  const lines: string[] = [];
  logFaceLicence((line) => void lines.push(line));
  expect(lines).toEqual([expect.stringMatching(/non-commercial research only: https:\/\/github\.com\/deepinsight\//)]);
});

test('where licences have to allow commercial use, the published files are refused by name', async () => {
  const folder = { weightsPath: undefined, hfHome: '/nowhere', home: '/nowhere' };
  const located = locateWeights([antelopev2], { weights: 'full', weightLicences: 'commercial', ...folder });
  await expect(located).rejects.toThrow(/DIAMONIK7777\/antelopev2 \(non-commercial research only\).*nothing free/);
});
