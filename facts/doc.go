// Package facts finds out what a member tells the others of its cluster and of the machine that it runs on: capacity, storage
// classes, speed. DESIGN.md says how, and what that costs.
package facts
