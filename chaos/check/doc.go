// Package check judges what happened in a fleet: histories of operations, what watchers saw, who led. It is pure: it
// knows values that were recorded, and neither fleets nor clocks.
package check
