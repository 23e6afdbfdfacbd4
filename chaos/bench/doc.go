// Package bench measures the store of a fleet beside etcd, which Kubernetes keeps its state in: both as three
// processes on this machine and its disk, in turns, so that a ratio of the two says something even when the machine
// is busy.
//
// Both are asked in the same words by the same client: a member of ours answers the few calls of etcd's gRPC API that
// the rows need (see api.go). So what is compared is the store behind the call and not the cost of two ways to call. In the
// product there is no such hop: a member's API server is part of the member's process.
package bench
