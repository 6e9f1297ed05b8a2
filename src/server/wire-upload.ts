import { downloadUrl, uploadUrl } from '../uploads/upload-url.ts';
import type { Upload } from '../uploads/uploads.ts';

export interface UploadJson {
  id: string;
  name: string;
  content_type: string;
  size: number;
  etag: string;
  checksums: { sha256: string; md5: string };
  metadata: Record<string, unknown>;
  created_at: string;
  expires_at: string;
  /** `download` needs no token. */
  urls: { get: string; download: string };
}

/** What the address of a download is signed with. */
export interface Signer {
  username: string;
  filesSecret: string;
}

/** @param origin where the reader reaches the server, without path */
export function uploadJson(upload: Upload, origin: string, { username, filesSecret }: Signer): UploadJson {
  const { id, name, contentType, size, sha256, md5, metadata, createdAt, expiresAt } = upload;
  return {
    id,
    name,
    content_type: contentType,
    size,
    etag: md5,
    checksums: { sha256, md5 },
    metadata,
    created_at: createdAt.toISOString(),
    expires_at: expiresAt.toISOString(),
    urls: { get: uploadUrl(id, origin), download: downloadUrl(id, origin, username, expiresAt, filesSecret) },
  };
}
