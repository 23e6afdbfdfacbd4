package main

import (
	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

func killVerb() *cli.Command {
	return &cli.Command{
		Name:  "kill",
		Usage: "SIGKILL everything in a REGION at once",
		Action: func(c *cli.Context) error {
			return eachRegion(c, func(t *testbed.Testbed, region string) error { return t.Kill(region) })
		},
	}
}

func healVerb() *cli.Command {
	return &cli.Command{
		Name:  "heal",
		Usage: "start a killed REGION again, with what it had",
		Action: func(c *cli.Context) error {
			return eachRegion(c, func(t *testbed.Testbed, region string) error { return t.Heal(c.Context, region) })
		},
	}
}

func eachRegion(c *cli.Context, do func(*testbed.Testbed, string) error) error {
	regions, err := names(c, "region")
	if err != nil {
		return err
	}
	t, err := hold(c)
	if err != nil {
		return err
	}
	defer t.Close()
	for _, region := range regions {
		if _, err := t.Region(region); err != nil {
			return err
		}
	}
	for _, region := range regions {
		what := c.Command.Name + " " + region
		if err := timed(c.App.ErrWriter, what, func() error { return do(t, region) }); err != nil {
			return err
		}
	}
	return nil
}

func downVerb() *cli.Command {
	return &cli.Command{
		Name:   "down",
		Usage:  "end every process of the testbed, and delete what it kept",
		Action: func(c *cli.Context) error { return testbed.Down(dir(c)) },
	}
}
