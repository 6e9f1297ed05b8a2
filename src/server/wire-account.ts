import type { Account } from '../accounts/directory.ts';

export interface AccountJson {
  type: Account['type'];
  username: string;
  name: string;
  github_url: string | null;
  avatar_url: string | null;
}

export function accountJson({ type, username, name, githubUrl, avatarUrl }: Account): AccountJson {
  return { type, username, name, github_url: githubUrl, avatar_url: avatarUrl };
}
