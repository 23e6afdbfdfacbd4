// Package drill holds the drills: what Hanse promises, tried out with the real binaries on real clusters, by doing the
// worst to them. The drills are tests. What stands in files without _test are the tools: a person who types commands
// (Person), daemons without a cluster (Daemon), a survey of all that lies in a cluster (Survey), and the shape of a
// large public install (Install).
package drill
