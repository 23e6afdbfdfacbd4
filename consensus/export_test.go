package consensus

import (
	"net"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// ProposeOver sends one command on a stream of the kind "propose", as it is, and says whether it was refused.
func ProposeOver(c net.Conn, command store.Command) (refused bool, err error) {
	if err := writeFrame(c, proposeRequest{Version: frameVersion, Commands: []store.Command{command}}); err != nil {
		return false, err
	}
	var a proposeAnswer
	err = readFrame(c, &a)
	return a.Code == codeRefused, err
}
