// Package render says what a cluster runs of a bundle: the manifests of a revision, changed by the overrides that are for that
// cluster. It is a function of the revision and of what was frozen of the cluster when the revision was granted, so every member,
// and a person at home, comes to the same.
package render
