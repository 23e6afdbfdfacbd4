package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// removeTimeout lets a voter's place be taken, also while another one is about to be judged dead.
const removeTimeout = 2 * time.Minute

func removeVerb() *cli.Command {
	return &cli.Command{
		Name:  "remove",
		Usage: "cut a cluster's member off from the fleet; its workloads go on",
		UsageText: `hanse remove CLUSTER              others vote in its place first, if it votes
hanse remove CLUSTER --yes        without being asked`,
		Flags: append(connectionFlags(removeTimeout),
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"},
		),
		Action: removeAction,
	}
}

// bareCluster is the name of a cluster that was typed as kubectl would take it, too.
func bareCluster(typed string) string {
	return strings.TrimPrefix(strings.TrimPrefix(typed, "cluster/"), "clusters/")
}

func removeAction(c *cli.Context) error {
	if c.NArg() != 1 {
		return during("remove", usage("which cluster?", hint{"see what there is", "get clusters"}))
	}
	name := bareCluster(c.Args().First())
	doing := "remove " + name
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return during(doing, err)
	}
	if !c.Bool("yes") && isTerminal(c.App.Reader) {
		f.tellExposed(c, name)
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	lost, err := f.leftToSilence(ctx, without(name))
	if err != nil {
		return during(doing, err)
	}
	if lost != "" {
		fmt.Fprintln(c.App.ErrWriter, lost)
	}
	if err := confirm(c, name); err != nil {
		return during(doing, err)
	}
	if err := f.retire(ctx, c.App.ErrWriter, name); err != nil {
		return during(doing, err)
	}
	body, err := f.write(ctx, request{verb: "DELETE", path: mustKind("Cluster").path(name)})
	if err != nil {
		return during(doing, err)
	}
	fmt.Fprintf(c.App.Writer, "cluster %s removed%s\n", name, atRevision(body))
	fmt.Fprintln(c.App.ErrWriter, "its member is cut off everywhere; what runs in the cluster goes on, and nothing of the fleet's repairs it any more")
	fmt.Fprintln(c.App.ErrWriter, "should its member be dead, the fleet's API is taken out of the cluster within five minutes, and the rest when the member is started once more")
	f.tellExposed(c, name)
	return nil
}

// tellExposed lists what a cluster can read, or could, if that is anything.
func (f *fleet) tellExposed(c *cli.Context, name string) {
	ctx, cancel := context.WithTimeout(c.Context, defaultTimeout)
	defer cancel()
	e, _, err := f.exposed(ctx, name)
	switch {
	case isReason(err, metav1.StatusReasonNotFound):
	case err != nil:
		fmt.Fprintf(c.App.ErrWriter, "what it could read: hanse secret exposed --cluster %s\n", name)
	case len(e.Items) > 0:
		fmt.Fprintln(c.App.ErrWriter, "\nwhat it could read:")
		exposedView{now: time.Now(), of: name}.print(c.App.ErrWriter, e)
	}
}

// confirm lets a person at a terminal type the name; a script must say --yes.
func confirm(c *cli.Context, name string) error {
	return typedName(c, fmt.Sprintf("this cuts %s off at once; to come back it needs a new token and a fresh data directory", name), name)
}

// typedName warns a person, in the caller's words, who must type a name; a script must say --yes.
func typedName(c *cli.Context, warning, name string) error {
	if c.Bool("yes") {
		return nil
	}
	if !isTerminal(c.App.Reader) {
		return usage(warning + "; nobody is there to ask: say --yes")
	}
	fmt.Fprintf(c.App.ErrWriter, "%s\ntype its name: ", warning)
	typed, _ := bufio.NewReader(c.App.Reader).ReadString('\n')
	if strings.TrimSpace(typed) != name {
		return &failure{code: exitError, why: "another name was typed; nothing was done"}
	}
	return nil
}
