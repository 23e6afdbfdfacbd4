// Package agent is one member of a fleet: it builds the parts (transport, consensus, apiserver, reconcile), starts
// and stops them in order, and holds what belongs to none of them: founding, joining and leaving a fleet, and the
// leader's reading and writing.
package agent
