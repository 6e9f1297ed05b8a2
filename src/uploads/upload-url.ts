/** Addresses of uploaded files, as replies give them and inputs bring them back. */
import { type Download, signDownload } from './download-signature.ts';

export interface UploadUrl {
  id: string;
  /** Only of a signed download's address; not checked. */
  signed?: { download: Download; signature: string };
}

/** 32 hex digits. */
export function isUploadId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

export function uploadUrl(id: string, origin: string): string {
  return `${origin}/v1/files/${id}`;
}

/** An address that needs no token, until `expiresAt`. @param secret the files secret of the owner's account */
export function downloadUrl(id: string, origin: string, owner: string, expiresAt: Date, secret: string): string {
  const download = { owner, id, expiry: String(Math.floor(expiresAt.getTime() / 1000)) };
  const query = new URLSearchParams({ owner, expiry: download.expiry, signature: signDownload(secret, download) });
  return `${uploadUrl(id, origin)}/download?${query}`;
}

const uploadPath = /^(?:\/+v1)*\/+files\/+([0-9a-f]{32})(\/+download)?\/*$/;

/** What a URL of the form of ours names, whatever host name it was given; `undefined` for any other URL. */
export function parseUploadUrl(url: string): UploadUrl | undefined {
  if (!/^https?:/i.test(url) || !URL.canParse(url)) return undefined;
  const { pathname, searchParams } = new URL(url);
  const [, id, isDownload] = uploadPath.exec(pathname) ?? [];
  if (!id || !isDownload) return id ? { id } : undefined;
  const part = (name: string): string => searchParams.get(name) ?? '';
  const download = { owner: part('owner'), id, expiry: part('expiry') };
  return { id, signed: { download, signature: part('signature') } };
}
