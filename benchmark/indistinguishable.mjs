/**
 * Groups of classes of timing.rs whose tokens must take the same time to refuse, and by how many instructions they may
 * differ. For GCM, OpenSSL uses a cache that it clears at random, so the count varies a little.
 */
export const INDISTINGUISHABLE = [
  { classes: ['cbc-tag-start', 'cbc-tag-end', 'cbc-padding', 'cbc-tag-and-padding'], within: 0 },
  { classes: ['gcm-tag-start', 'gcm-tag-end'], within: 16 },
]
