import { randomBytes } from 'node:crypto';
import { type Selectable, sql } from 'kysely';
import type { Accounts } from '../accounts/accounts.ts';
import type { Settings } from '../base/settings.ts';
import type { Database, Queries } from '../database/database.ts';
import { type RowPage, readPage } from '../database/page.ts';
import type { UploadsTable } from '../database/tables.ts';
import type { FileStore, StoredFile } from '../storage/files.ts';
import { type Download, isSignatureOf } from './download-signature.ts';
import { isUploadId, parseUploadUrl } from './upload-url.ts';

/** A file that a caller sent and may name as an input until it expires. */
export interface Upload extends StoredFile {
  id: string;
  account: string;
  /** As `contentType`, but where the bytes say nothing it is what the caller said. */
  contentType: string;
  /** Hex. */
  md5: string;
  metadata: Record<string, unknown>;
  createdAt: Date;
  expiresAt: Date;
}

export type NewUpload = Omit<Upload, 'id' | 'createdAt' | 'expiresAt'>;

/** Uploaded files. Foreign, unknown and expired ones are the same: `undefined`. */
export interface Uploads {
  /** How many more bytes the account may upload. */
  room(account: string): Promise<number>;
  /** The bytes lie in the store already. @returns `undefined` when the account has no room for them */
  add(upload: NewUpload): Promise<Upload | undefined>;
  get(account: string, id: string): Promise<Upload | undefined>;
  /** Newest first. @throws InputError when the cursor is not one of ours */
  list(account: string, page: { cursor?: string; limit: number }): Promise<RowPage<Upload>>;
  /** @returns whether there was one */
  delete(account: string, id: string): Promise<boolean>;
  /** What a signed address leads to, whoever asks. */
  download(download: Download, signature: string): Promise<Upload | 'refused' | 'expired' | undefined>;
  /** The file that an input of this account names by its address, signed or not. */
  named(account: string, url: string): Promise<Upload | undefined>;
}

interface UploadsOptions {
  database: Pick<Database, 'kysely'>;
  files: Pick<FileStore, 'delete'>;
  accounts: Pick<Accounts, 'accountByUsername' | 'filesSecret'>;
  settings: Pick<Settings, 'uploadExpiryMs' | 'uploadQuota'>;
}

export function createUploads({ database: { kysely }, files, accounts, settings }: UploadsOptions): Uploads {
  const { uploadExpiryMs, uploadQuota } = settings;

  const add = async (queries: Queries, upload: NewUpload): Promise<Upload> => {
    const { contentType, metadata, ...columns } = upload;
    const row = await queries
      .insertInto('uploads')
      .values({
        ...columns,
        id: randomBytes(16).toString('hex'),
        content_type: contentType,
        metadata: JSON.stringify(metadata),
        expires_at: sql<Date>`clock_timestamp() + ${uploadExpiryMs}::double precision * interval '1 millisecond'`,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    return uploadOf(row);
  };
  const get = async (account: string, id: string): Promise<Upload | undefined> => {
    if (!isUploadId(id)) return undefined;
    const row = await kysely
      .selectFrom('uploads')
      .selectAll()
      .where('id', '=', id)
      .where('account', '=', account)
      .where(unexpired)
      .executeTakeFirst();
    return row && uploadOf(row);
  };
  const download: Uploads['download'] = async ({ owner, id, expiry }, signature) => {
    const account = await accounts.accountByUsername(owner);
    const secret = account && (await accounts.filesSecret(account.id));
    if (!secret || !isSignatureOf(signature, secret, { owner, id, expiry })) return 'refused';
    // Only digits have been signed, unless by the owner's own mistake.
    if (!(Number(expiry) * 1000 > Date.now())) return 'expired';
    return get(account.id, id);
  };

  return {
    room: async (account) => (uploadQuota === undefined ? Infinity : uploadQuota - (await spaceOf(kysely, account))),
    add(upload) {
      if (uploadQuota === undefined) return add(kysely, upload);
      return kysely.transaction().execute(async (transaction) => {
        // Two that come at once must not both find the same room.
        const name = `uploads of ${upload.account}`;
        await sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`.execute(transaction);
        const space = await spaceOf(transaction, upload.account);
        return space + upload.size > uploadQuota ? undefined : add(transaction, upload);
      });
    },
    get,
    async list(account, page) {
      const { rows, ...links } = await readPage(page, ({ direction, limit, beyond }) => {
        const select = kysely
          .selectFrom('uploads')
          .selectAll()
          .where('account', '=', account)
          .where(unexpired)
          .orderBy('created_at', direction)
          .orderBy('id', direction)
          .limit(limit);
        return (beyond ? select.where(beyond) : select).execute();
      });
      return { rows: rows.map(uploadOf), ...links };
    },
    async delete(account, id) {
      const upload = await get(account, id);
      if (!upload) return false;
      // The row first: bytes that stay after a crash serve nobody and are swept.
      await kysely.deleteFrom('uploads').where('id', '=', id).execute();
      await files.delete(upload.key);
      return true;
    },
    download,
    async named(account, url) {
      const { id, signed } = parseUploadUrl(url) ?? {};
      const own = id && (await get(account, id));
      if (own || !signed) return own || undefined;
      const found = await download(signed.download, signed.signature);
      return typeof found === 'string' ? undefined : found;
    },
  };
}

const unexpired = sql<boolean>`expires_at > clock_timestamp()`;

async function spaceOf(queries: Queries, account: string): Promise<number> {
  const { space } = await queries
    .selectFrom('uploads')
    .select(({ fn }) => fn.sum('size').as('space'))
    .where('account', '=', account)
    .executeTakeFirstOrThrow();
  return Number(space ?? 0);
}

function uploadOf(row: Selectable<UploadsTable>): Upload {
  const { id, account, key, name, sha256, md5 } = row;
  return {
    id,
    account,
    key,
    name,
    contentType: row.content_type,
    size: Number(row.size),
    sha256,
    md5,
    metadata: row.metadata as Upload['metadata'],
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  };
}
