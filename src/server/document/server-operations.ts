import { Type } from 'typebox';
import { accountAnswer, healthAnswer, notReadyAnswer, readyAnswer } from './answers.ts';
import type { Operation } from './operation.ts';

export const serverOperations: readonly Operation[] = [
  {
    method: 'get',
    path: '/account',
    id: 'account.get',
    tag: 'account',
    summary: 'Get the account of the token',
    answers: { 200: { description: 'The account', schema: accountAnswer } },
    problems: [404],
  },
  {
    method: 'get',
    path: '/openapi.json',
    id: 'openapi',
    tag: 'documents',
    summary: 'Get this document',
    answers: { 200: { description: 'An OpenAPI 3.1 document', schema: Type.Object({}) } },
    public: true,
  },
  {
    method: 'get',
    path: '/healthz',
    id: 'health',
    tag: 'health',
    summary: 'Whether the process answers',
    answers: { 200: { description: 'It does', schema: healthAnswer } },
    public: true,
  },
  {
    method: 'get',
    path: '/readyz',
    id: 'ready',
    tag: 'health',
    summary: 'Whether predictions can run',
    answers: {
      200: { description: 'They can', schema: readyAnswer },
      503: { description: 'They cannot, and why', schema: notReadyAnswer },
    },
    public: true,
  },
];
