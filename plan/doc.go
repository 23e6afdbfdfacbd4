// Package plan makes decisions: values in, values out. Where a bundle goes and why, what the next wave of its rollout is,
// in which order objects are applied, which changes a person must confirm, who should vote, and which regions can
// be lost. It knows no clock, no disk, no network and no cluster.
package plan
