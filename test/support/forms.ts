import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import type { UploadJson } from '../../src/server/wire-upload.ts';
import type { TestServer } from './server.ts';

export type Part = [head: string, body: string | Buffer];

interface Problem {
  detail: string;
  invalid_fields?: { field: string; description: string }[];
}

export const disposition = (rest: string): string => `Content-Disposition: form-data; ${rest}`;

/** A form as it goes over the wire. */
export function formOf(parts: readonly Part[], boundary = 'b'): Buffer {
  const all = parts.flatMap(([head, body]) => [`--${boundary}\r\n${head}\r\n\r\n`, body, '\r\n']);
  return Buffer.concat([...all, `--${boundary}--\r\n`].map((text) => Buffer.from(text as string)));
}

/** Sends a form to `files` with the token `r8_one`. */
export async function postForm(server: TestServer, form: Buffer | string, headers: Record<string, string> = {}) {
  const response = await fetch(`${server.origin}/v1/files`, {
    method: 'POST',
    headers: { authorization: 'Bearer r8_one', 'content-type': 'multipart/form-data; boundary=b', ...headers },
    body: form,
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as UploadJson & Problem,
  };
}

/** Names of all files whose bytes are stored, but for the mark of the database. */
export async function storedFiles(server: TestServer): Promise<string[]> {
  const folder = join(server.home, 'files');
  await mkdir(folder, { recursive: true });
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile() && entry.name !== 'database').map(({ name }) => name);
}

export function plainPng(): Promise<Buffer> {
  const plain = { create: { width: 7, height: 4, channels: 3, background: 'red' } } as const;
  return sharp(plain).png().toBuffer();
}
