// Package compare says what is different between two sets of Kubernetes objects: which come, which go, and of those that change,
// which fields, named as people name them.
package compare
