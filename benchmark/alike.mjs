/**
 * The classes of timing.rs that must be one and the same to a clock, and by how many instructions they may differ. For GCM
 * OpenSSL looks into a cache of its own, which it empties by chance.
 */
export const ALIKE = [
  { classes: ['cbc-tag-start', 'cbc-tag-end', 'cbc-padding', 'cbc-tag-and-padding'], within: 0 },
  { classes: ['gcm-tag-start', 'gcm-tag-end'], within: 16 },
]
