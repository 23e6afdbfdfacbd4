package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/agent"
)

func onceFlag() cli.Flag {
	return &cli.BoolFlag{Name: "once", Usage: "do nothing when this cluster's member is there already: for what runs at each start, as in a pod"}
}

// madeBefore says that there is nothing to do with --once: the data directory holds the cluster's member.
func madeBefore(c *cli.Context) (bool, error) {
	if !c.Bool("once") {
		return false, nil
	}
	err := agent.Vacant(dataDir(c))
	if err == nil {
		return false, nil
	}
	var there *agent.MemberExistsError
	if !errors.As(err, &there) {
		return false, err
	}
	if fleet := c.String("fleet"); there.Cluster != c.String("cluster") || fleet != "" && there.Fleet != fleet {
		return false, memberExists(err)
	}
	fmt.Fprintf(c.App.ErrWriter, "%s is a member of fleet %s already; nothing was done\n", there.Cluster, there.Fleet)
	return true, nil
}
