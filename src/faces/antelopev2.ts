import type { WeightRepository } from '../catalog/model.ts';

export const detectorFile = 'scrfd_10g_bnkps.onnx';
export const embedderFile = 'glintr100.onnx';

/** InsightFace's face detector (SCRFD) and embedder (ArcFace). */
export const antelopev2: WeightRepository = {
  repository: 'DIAMONIK7777/antelopev2',
  files: [detectorFile, embedderFile],
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
