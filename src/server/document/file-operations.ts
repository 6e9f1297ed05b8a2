import { Type } from 'typebox';
import { downloadQuery, filesQuery } from '../requests.ts';
import { page, uploadAnswer } from './answers.ts';
import type { Operation } from './operation.ts';

const bytes = { mediaType: '*/*', schema: Type.Unknown() };

/** Of everything that is delivered as it is. */
const delivered = {
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
};

/** Read as it arrives and not checked as a whole, so its schema is for readers alone. */
const form = Type.Object({
  content: Type.Unsafe<Blob>({ type: 'string', contentMediaType: 'application/octet-stream' }),
  metadata: Type.Optional(Type.String({ description: 'A JSON object.', contentMediaType: 'application/json' })),
  type: Type.Optional(Type.String({ description: 'The media type, where the content does not tell.' })),
  filename: Type.Optional(Type.String({ description: 'Instead of the name that the part has.' })),
});

export const fileOperations: readonly Operation[] = [
  {
    method: 'post',
    path: '/files',
    id: 'files.create',
    tag: 'files',
    summary: 'Upload a file, to name it as an input',
    body: { schema: form, mediaType: 'multipart/form-data' },
    answers: {
      201: {
        description: 'The file',
        schema: uploadAnswer,
        headers: [{ name: 'Location', description: 'Where it is.' }],
      },
    },
    problems: [422],
  },
  {
    method: 'get',
    path: '/files',
    id: 'files.list',
    tag: 'files',
    summary: "List one's own uploads",
    query: filesQuery,
    answers: { 200: { description: 'A page, the newest first', schema: page(uploadAnswer) } },
    problems: [422],
  },
  {
    method: 'get',
    path: '/files/:id',
    id: 'files.get',
    tag: 'files',
    summary: 'Get what is known of an upload',
    answers: { 200: { description: 'The file', schema: uploadAnswer } },
    problems: [404],
  },
  {
    method: 'delete',
    path: '/files/:id',
    id: 'files.delete',
    tag: 'files',
    summary: 'Delete an upload',
    answers: { 204: { description: 'It is deleted' } },
    problems: [404],
  },
  {
    ...delivered,
    method: 'get',
    path: '/files/:id/download',
    id: 'files.download',
    tag: 'files',
    summary: 'Get the bytes of an upload, by a signature and without a token',
    query: downloadQuery,
    problems: [403, 404, 410, 422],
    public: true,
  },
  {
    ...delivered,
    method: 'get',
    path: '/f/:key/:name',
    id: 'deliveredFiles.get',
    tag: 'files',
    summary: 'Get a file of a prediction',
    description: 'At the addresses in `input` and `output`.',
    problems: [404],
    public: true,
  },
];
