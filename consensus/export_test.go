package consensus

import (
	"net"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// These bring back, in tests, the faults that the package answers.

func WithHeartbeatFastPath(c *Config) { c.faults.heartbeatFastPath = true }
func WithVerifyLeader(c *Config)      { c.faults.verifyLeader = true }
func WithoutNudge(c *Config)          { c.faults.noNudge = true }
func WithoutGuard(c *Config)          { c.faults.noGuard = true }
func WithoutAdmission(c *Config)      { c.faults.admitAll = true }
func WithFreshSequence(c *Config)     { c.faults.freshSequence = true }

// ProposeOver sends one command on a stream of the kind "propose", as it is, and says whether it was refused.
func ProposeOver(c net.Conn, command store.Command) (refused bool, err error) {
	if err := writeFrame(c, proposeRequest{Version: frameVersion, Commands: []store.Command{command}}); err != nil {
		return false, err
	}
	var a proposeAnswer
	err = readFrame(c, &a)
	return a.Code == codeRefused, err
}
