package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func initVerb() *cli.Command {
	return &cli.Command{
		Name:      "init",
		Usage:     "found a fleet of one cluster",
		UsageText: "hanse init --fleet acme --cluster fra --region eu",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "fleet", Usage: "the fleet's NAME"},
			&cli.StringFlag{Name: "cluster", Usage: "this cluster's NAME"},
			&cli.StringFlag{Name: "region", Usage: "REGION that the cluster dies with"},
			&cli.StringFlag{Name: "zone", Usage: "ZONE of the region"},
			&cli.DurationFlag{Name: "soak", Value: v1alpha1.DefaultSoak, Usage: "how LONG a region is healthy with a change before the next one gets it"},
			&cli.IntFlag{Name: "max-domains", Value: v1alpha1.DefaultMaxDomains, Usage: "in how MANY regions changes may be at a time"},
			dataDirFlag(),
			dataIdentityFlag(),
			onceFlag(),
		}, append(recoveryFlags(), addressFlags()...)...),
		Action: initAction,
	}
}

// addressFlags say where a member listens and where others find it.
func addressFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "listen", DefaultText: agent.DefaultListen, Usage: "UDP HOST:PORT for other members"},
		&cli.StringSliceFlag{Name: "advertise", Usage: "HOST:PORT under which other members reach it; repeatable"},
		&cli.StringFlag{Name: "api-listen", DefaultText: agent.DefaultAPIListen, Usage: "TCP HOST:PORT for people"},
		&cli.StringFlag{Name: "api-advertise", Usage: "HOST:PORT under which people reach it"},
	}
}

func addresses(c *cli.Context) agent.Addresses {
	return agent.Addresses{
		Listen: c.String("listen"), APIListen: c.String("api-listen"),
		Advertise: c.StringSlice("advertise"), APIAdvertise: c.String("api-advertise"),
	}
}

func initAction(c *cli.Context) error {
	if err := noNames(c); err != nil {
		return during("init", err)
	}
	if err := required(c, "fleet", "cluster", "region"); err != nil {
		return during("init", err)
	}
	if made, err := madeBefore(c); made || err != nil {
		return during("init", err)
	}
	recovery, err := recoveryWanted(c)
	if err != nil {
		return during("init", err)
	}
	with, err := dataIdentity(c, dataDir(c))
	if err != nil {
		return during("init", err)
	}
	o := agent.InitOptions{
		Recovery: recovery.recipientsMade, DataDir: dataDir(c), DataIdentity: with, Fleet: c.String("fleet"), Cluster: c.String("cluster"),
		Region: c.String("region"), Zone: c.String("zone"), Addresses: addresses(c),
	}
	if c.IsSet("soak") || c.IsSet("max-domains") {
		o.Rollout = &v1alpha1.FleetRollout{Soak: &metav1.Duration{Duration: c.Duration("soak")}, MaxDomains: int32(c.Int("max-domains"))}
	}
	wanted := &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Name: o.Fleet}, Spec: v1alpha1.FleetSpec{
		Voters: v1alpha1.DefaultVoters, Rollout: o.Rollout, RecoveryRecipients: recovery.recipients,
	}}
	if errs := v1alpha1.ValidateFleet(wanted, o.Fleet); len(errs) > 0 {
		return during("init", usage(errs.ToAggregate().Error()))
	}
	result, err := agent.Init(o)
	if err != nil {
		return during("init", recovery.brokeOff(memberExists(err)))
	}
	talk := c.App.ErrWriter
	fmt.Fprintf(talk, "fleet %s founded: cluster %s in region %s, data directory %s\n", o.Fleet, o.Cluster, o.Region, o.DataDir)
	fmt.Fprintf(talk, "the first admin's key is in %s\n", result.AdminFile)
	sayEncrypted(talk, with)
	recovery.say(talk)
	sayNext(c, "start its member", "agent", o.DataDir)
	sayNext(c, "then let others in", "token create", o.DataDir)
	return nil
}

// memberExists says what to do about a data directory that holds a member already.
func memberExists(err error) error {
	var there *agent.MemberExistsError
	if !errors.As(err, &there) {
		return err
	}
	return &failure{
		code:  exitError,
		why:   fmt.Sprintf("data directory %s already holds %s of fleet %s", there.DataDir, there.Cluster, there.Fleet),
		hints: []hint{{"start it", "agent " + agent.FlagsFor(there.DataDir)}},
	}
}

// sayEncrypted says what becomes of a member whose identity is lost.
func sayEncrypted(talk io.Writer, with *age.HybridIdentity) {
	if with != nil {
		fmt.Fprintln(talk, "what is private in the data directory is encrypted: without the data identity nobody opens it; keep a copy of that elsewhere")
	}
}

// sayNext names the next command, with the data directory if that is not the default, and what opens it unless the environment says it.
func sayNext(c *cli.Context, words, command, dir string) {
	if file := c.String("data-identity"); file != "" && command == "agent" {
		command += " --data-identity " + quoted(absolute(file))
	}
	if dir != agent.DefaultDataDir {
		command += " --data-dir " + quoted(dir)
	}
	fmt.Fprintln(c.App.ErrWriter, "  "+hint{words, command}.line(c.App.Name))
}

// absolute is a path as it is good in any folder.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func required(c *cli.Context, flags ...string) error {
	for _, name := range flags {
		if c.String(name) == "" {
			return usage("--"+name+" is missing", hint{"for example", example(c)})
		}
	}
	return nil
}

// example is the first line of a verb's usage, without the program's name.
func example(c *cli.Context) string {
	line, _, _ := strings.Cut(c.Command.UsageText, "\n")
	return strings.TrimPrefix(line, "hanse ")
}

// noNames is for verbs that take flags only.
func noNames(c *cli.Context) error {
	if c.NArg() > 0 {
		return usagef("%s: what is this? the verb takes flags only", c.Args().First())
	}
	return nil
}
