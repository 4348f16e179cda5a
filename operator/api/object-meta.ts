import { z } from 'zod';

/** Of `metadata`, what every kind of ours reads. */
export const objectMeta = {
  name: z.string(),
  namespace: z.string().default('default'),
  uid: z.string().default(''),
  resourceVersion: z.string().exactOptional(),
  generation: z.int().default(0),
  creationTimestamp: z.string().exactOptional(),
  deletionTimestamp: z.string().exactOptional(),
};
