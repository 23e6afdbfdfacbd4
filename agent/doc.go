// Package agent is one member of a fleet: it builds the parts (transport, consensus, apiserver, reconcile), starts
// and stops them in order, and holds what belongs to none of them: founding, joining and leaving a fleet, who may
// write what, the leader's decisions, and what members report to each other.
package agent
