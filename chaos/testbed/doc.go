// Package testbed runs real Kubernetes control planes (etcd, kube-apiserver, kube-controller-manager) and the members
// of a fleet on this machine, as one process each and without root: every cluster has a loopback address of its own,
// 127.R.C.1 for cluster C of region R. There are no nodes, so pods stay pending.
//
// Everything lies in one folder, and nothing that runs is ever lost: a process writes down who it is before it becomes
// the program it is to run (see launch), so another testbed, later, finds it and ends it, and never anything else.
//
// The fleet is made by the hanse binary, as a person would make it: nothing here imports a room of Hanse but api.
package testbed
