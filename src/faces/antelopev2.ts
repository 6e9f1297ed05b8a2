import type { WeightRepository } from '../catalog/model.ts';

export const detectorFile = 'scrfd_10g_bnkps.onnx';
export const embedderFile = 'glintr100.onnx';

/** InsightFace's face detector (SCRFD) and embedder (ArcFace). */
export const antelopev2: WeightRepository = {
  repository: 'DIAMONIK7777/antelopev2',
  files: [
    {
      path: detectorFile,
      bytes: 16_923_827,
      sha256: '5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91',
    },
    {
      path: embedderFile,
      bytes: 260_665_334,
      sha256: '4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf',
    },
  ],
  licence: 'non-commercial research only',
  commercialUse: false,
};

/** For models to show before each use of the published files. The mini set is Darkroom's own and needs no notice. */
export function logFaceLicence(log: (line: string) => void): void {
  log(
    'Faces: found and read by antelopev2 of InsightFace, which is for non-commercial research only: ' +
      'https://github.com/deepinsight/insightface#license',
  );
}
