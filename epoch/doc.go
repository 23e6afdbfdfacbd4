// Package epoch decides how a fleet goes on when it cannot go on as it was: who may recover a lost majority, what a new epoch
// begins with, when its clusters act again, and under which terms a cluster comes back. See DESIGN.md.
package epoch
