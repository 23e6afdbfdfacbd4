// Package kvstorage is the storage.Interface of k8s.io/apiserver over the replicated store: objects are values at
// /<resource>/<name>, the store's revision is the resourceVersion, and every write is one transaction.
//
// There is no watch cache: the store is in memory already. See DESIGN.md of package apiserver.
package kvstorage
