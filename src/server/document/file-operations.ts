import { Type } from 'typebox';
import type { Operation } from './operation.ts';

const bytes = { mediaType: '*/*', schema: Type.Unknown() };

export const fileOperations: readonly Operation[] = [
  {
    method: 'post',
    path: '/files',
    id: 'files.create',
    tag: 'files',
    summary: 'Upload a file: not here',
    body: { schema: Type.Object({}), mediaType: 'multipart/form-data' },
    answers: {},
    problems: [501],
  },
  {
    method: 'get',
    path: '/f/:key/:name',
    id: 'deliveredFiles.get',
    tag: 'files',
    summary: 'Get a file of a prediction',
    description: 'At the addresses in `input` and `output`. `Range` and `If-None-Match` are answered.',
    headers: [
      { name: 'Range', description: 'One range of bytes.' },
      { name: 'If-None-Match', description: 'An entity tag that the caller has.' },
    ],
    answers: {
      200: { description: 'The bytes', ...bytes },
      206: { description: 'The range', ...bytes },
      304: { description: 'The caller has it' },
      416: { description: 'The range lies behind the end' },
    },
    problems: [404],
    public: true,
  },
];
