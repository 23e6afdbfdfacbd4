package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-fleet/hanse/chaos/hollow"
	"github.com/hanse-fleet/hanse/chaos/testbed"
	"github.com/hanse-fleet/hanse/internal/pause"
)

func podsVerb() *cli.Command {
	return &cli.Command{
		Name:   "pods",
		Usage:  "say of every pod that it runs, as kubelets would, until interrupted or the testbed is down; an image with bad in its name never gets ready",
		Action: pods,
	}
}

func pods(c *cli.Context) error {
	t, err := testbed.Look(dir(c))
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(c.Context)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	for _, cluster := range t.Clusters() {
		client, err := clientOf(cluster)
		if err != nil {
			return err
		}
		all.Go(func() { hollow.Run(ctx, client, "") })
	}
	fmt.Fprintf(c.App.ErrWriter, "pods run in %s\n", places(t.Clusters()))
	for err == nil && pause.For(ctx, time.Second) {
		_, err = testbed.Look(t.Dir())
	}
	if errors.Is(err, testbed.ErrNoTestbed) {
		return nil // it is down
	}
	return err
}

func clientOf(c *testbed.Cluster) (kubernetes.Interface, error) {
	config, err := c.REST()
	if err != nil {
		return nil, err
	}
	config.Timeout = 10 * time.Second
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reach %s: %w", c.Name(), err)
	}
	return client, nil
}
