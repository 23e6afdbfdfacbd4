// Package store is the fleet's state: a small etcd of keys, revisions, transactions and watches, as a pure state
// machine. It knows no clock, network, disk or consensus; package consensus feeds it the replicated log.
//
// DESIGN.md tells how it works and why.
package store
