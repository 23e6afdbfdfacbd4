package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/epoch"
)

func recoverVerb() *cli.Command {
	return &cli.Command{
		Name:  "recover",
		Usage: "let one survivor go on when the majority of the voters is lost for good",
		UsageText: `hanse recover --show                                   what this member has; its agent is stopped
hanse recover --show -o json > fra.json                for the others to compare with
hanse recover --survivor iad.json                      on the most advanced one; asks about each lost member
hanse recover --survivor iad.json --fenced sin --yes   without being asked`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "show", Usage: "say what this member has, and change nothing"},
			outputFlag(formatTable, formatJSON),
			&cli.StringSliceFlag{Name: "survivor", Usage: "FILE with what another survivor says: its recover --show -o json; repeatable"},
			&cli.StringSliceFlag{Name: "fenced", Usage: "CLUSTER whose lost member cannot come back by itself; repeatable"},
			lostGroupFlag(),
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask: --fenced and --lost-group say it all"},
			dataDirFlag(),
			dataIdentityFlag(),
		},
		Action: recoverAction,
	}
}

func recoverAction(c *cli.Context) error {
	if err := noNames(c); err != nil {
		return during("recover", err)
	}
	if c.Bool("show") {
		return during("recover", showSurvivor(c))
	}
	survivors, err := readStatements(c.StringSlice("survivor"))
	if err != nil {
		return during("recover", err)
	}
	with, err := dataIdentity(c, dataDir(c))
	if err != nil {
		return during("recover", err)
	}
	o := agent.RecoverOptions{DataDir: dataDir(c), DataIdentity: with, Survivors: survivors, Fenced: c.StringSlice("fenced"), Version: ownVersion().Version}
	t := newTypist(c)
	mine, err := agent.Survey(o.DataDir, with)
	switch {
	case errors.Is(err, agent.ErrUnfinished): // everything was said when it was begun
	case err != nil:
		return during("recover", stopFirst(err))
	default:
		o.Agree = agreeing(t, mine.Cluster)
		if o.Fenced, err = confirmRecovery(t, epoch.Recovery{Mine: mine, Survivors: survivors, Fenced: o.Fenced}); err != nil {
			return during("recover", err)
		}
	}
	e, err := agent.Recover(o)
	if err != nil {
		return during("recover", stopFirst(err))
	}
	fmt.Fprintf(c.App.ErrWriter, "%s goes on alone; its old log is kept beside the new one\n", e.Cluster)
	tellEpoch(c, e, o.DataDir)
	return nil
}

// stopFirst says how to stop an agent that still runs, or what else to do.
func stopFirst(err error) error {
	if errors.As(err, new(*failure)) { // a person, or a flag, said no
		return err
	}
	if !errors.Is(err, agent.ErrInUse) {
		return withNext(err)
	}
	return &failure{code: exitError, why: err.Error(), hints: []hint{{words: "stop it first: systemctl stop hanse; a recovery is made while nothing runs"}}}
}

func showSurvivor(c *cli.Context) error {
	format, err := outputFormat(c, formatTable, formatJSON)
	if err != nil {
		return err
	}
	s, err := survey(c)
	if err != nil {
		return err
	}
	if format == formatJSON {
		data, err := json.Marshal(s)
		if err != nil {
			return err
		}
		return printJSON(c.App.Writer, data)
	}
	fmt.Fprintf(c.App.Writer, "fleet %s   cluster %s   epoch %d   last term %d   last index %d   revision %d\n\n", s.Fleet, s.Cluster, s.Epoch, s.LastTerm, s.LastIndex, s.Revision)
	lines := [][]string{{"CLUSTER", "REGION", "VOTES", "MEMBER"}}
	for _, m := range s.Members {
		votes := "–"
		if m.Voter {
			votes = "yes"
		}
		name := m.Cluster
		if m.Member == s.Member {
			name += " (this one)"
		}
		lines = append(lines, []string{name, m.Region, votes, string(m.Member)})
	}
	(&tablePrinter{out: c.App.Writer}).lines(lines)
	return nil
}

// survey asks the files of a member that is stopped, or the agent of one that runs.
func survey(c *cli.Context) (epoch.Statement, error) {
	with, err := dataIdentity(c, dataDir(c))
	if err != nil {
		return epoch.Statement{}, err
	}
	s, err := agent.Survey(dataDir(c), with)
	if err == nil || !errors.Is(err, agent.ErrInUse) {
		return s, withNext(err)
	}
	f, err := connect(c, nil)
	if err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeout(c.Context, defaultTimeout)
	defer cancel()
	if _, err = f.read(ctx, request{path: v1alpha1.PathSurvivor}, &s); err == nil {
		fmt.Fprintln(c.App.ErrWriter, "its agent runs, so this may change: stop it, and ask again, before you recover")
	}
	return s, err
}

func readStatements(files []string) (all []epoch.Statement, err error) {
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, usagef("survivor %s: %s", name, innermost(err))
		}
		var s epoch.Statement
		if err := json.Unmarshal(data, &s); err != nil || s.Member == "" || s.Cluster == "" {
			return nil, usage(fmt.Sprintf("survivor %s: not what a survivor says", name), hint{"make it there", "recover --show -o json"})
		}
		all = append(all, s)
	}
	return all, nil
}

// confirmRecovery says what is about to be done, and has a person say of each lost member that it is fenced off. A script
// says it with --fenced and --yes.
func confirmRecovery(t *typist, r epoch.Recovery) ([]string, error) {
	c, asked := t.c, r
	asked.Fenced = r.Lost()
	if err := asked.Check(); err != nil {
		return nil, refusedRecovery(err)
	}
	talk := c.App.ErrWriter
	fmt.Fprintf(talk, "%s is the most advanced of %d: term %d, index %d, revision %d\n", r.Mine.Cluster, 1+len(r.Survivors), r.Mine.LastTerm, r.Mine.LastIndex, r.Mine.Revision)
	if c.Bool("yes") {
		return r.Fenced, refusedRecovery(r.Check())
	}
	if !t.there() {
		return nil, usage("this cannot be undone, and nobody is there to ask: say --fenced CLUSTER for each lost member, and --yes", hint{words: "lost: " + strings.Join(r.Lost(), ", ")})
	}
	fmt.Fprintln(talk, "writes that only lost members have are lost with them; a lost member that comes back is refused, but it must not")
	fmt.Fprintln(talk, "act in its cluster meanwhile: stop its machine, or take its disk or its network away, before you type this")
	for _, name := range r.Lost() {
		if slices.Contains(r.Fenced, name) {
			continue
		}
		if err := t.typed(name + " is fenced off"); err != nil {
			return nil, err
		}
		r.Fenced = append(r.Fenced, name)
	}
	return r.Fenced, refusedRecovery(r.Check())
}

// refusedRecovery says what to do about a recovery that must not be made.
func refusedRecovery(err error) error {
	var unfenced *epoch.UnfencedError
	if errors.As(err, &unfenced) {
		return usage(err.Error(), hint{words: "of each that is lost say --fenced CLUSTER; of each that is there give what it says: --survivor FILE"})
	}
	return withNext(err)
}

// withNext is an error that says, behind its first semicolon, what to do next.
func withNext(err error) error {
	if err == nil {
		return nil
	}
	why, next, _ := strings.Cut(err.Error(), "; ")
	out := &failure{code: exitError, why: why}
	if next != "" {
		out.hints = []hint{{words: next}}
	}
	return out
}
