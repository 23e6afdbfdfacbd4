package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

func buildVerb() *cli.Command {
	return &cli.Command{
		Name:  "build",
		Usage: "build etcd, kube-apiserver, kube-controller-manager and kubectl, once; print their folder",
		Action: func(c *cli.Context) error {
			b, err := build(c, dir(c))
			if err != nil {
				return err
			}
			fmt.Fprintln(c.App.Writer, b.Dir())
			return nil
		},
	}
}

// build shows its progress only when there is something to build.
func build(c *cli.Context, state string) (testbed.Binaries, error) {
	m := newMeter(c.App.ErrWriter, fmt.Sprintf("build kube-apiserver %s and etcd %s from Go modules", testbed.KubernetesVersion, testbed.EtcdVersion))
	defer m.stop()
	return testbed.BuildBinaries(c.Context, state, m.report)
}
