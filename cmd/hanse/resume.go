package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/epoch"
)

func resumeVerb() *cli.Command {
	return &cli.Command{
		Name:  "resume",
		Usage: "let clusters of a restored or recovered fleet act again",
		UsageText: `hanse resume --show       what would happen in each cluster that only looks
hanse resume              shows it, and asks: all that have a member
hanse resume fra iad      only these
hanse resume --yes        without being asked`,
		Flags: append(connectionFlags(defaultTimeout),
			&cli.BoolFlag{Name: "show", Usage: "show what would happen, and change nothing"},
			outputFlag(formatTable, formatJSON, formatYAML),
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"},
		),
		Action: resumeAction,
	}
}

func resumeAction(c *cli.Context) error {
	format, err := outputFormat(c, formatTable, formatJSON, formatYAML)
	if err != nil {
		return during("resume", err)
	}
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return during("resume", err)
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	var p v1alpha1.Prospect
	if _, err := f.read(ctx, request{path: v1alpha1.PathResume}, &p); err != nil {
		return during("resume", err)
	}
	if p, err = prospectOf(p, clustersTyped(c)); err != nil {
		return during("resume", err)
	}
	if err := showProspect(c, format, p); err != nil || c.Bool("show") || len(p.Clusters) == 0 {
		return during("resume", err)
	}
	ask := epoch.Go(p)
	if len(ask.Clusters) == 0 {
		return during("resume", &failure{code: exitError, why: "none of them has a member that could act", hints: []hint{
			{"let them join again, each with a fresh data directory", "token create --cluster " + p.Clusters[0].Name},
		}})
	}
	if err := confirmResume(c); err != nil {
		return during("resume", err)
	}
	answer, server, err := post(c, v1alpha1.PathResume, ask)
	if isReason(err, metav1.StatusReasonConflict) {
		err = withNext(err)
	}
	if err != nil {
		return during("resume", err)
	}
	var done v1alpha1.Resumed
	if err := json.Unmarshal(answer, &done); err != nil {
		return during("resume", fmt.Errorf("%s answers what is no JSON of the fleet", server))
	}
	sayResumed(c, done)
	return nil
}

func clustersTyped(c *cli.Context) (names []string) {
	for _, name := range c.Args().Slice() {
		names = append(names, bareCluster(name))
	}
	return names
}

// prospectOf is the part of a prospect that is of some clusters; of all, when none is named.
func prospectOf(p v1alpha1.Prospect, names []string) (v1alpha1.Prospect, error) {
	if len(names) == 0 {
		return p, nil
	}
	known := slices.Clone(p.Acting)
	for _, c := range p.Clusters {
		known = append(known, c.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return p, usage(fmt.Sprintf("the fleet has no cluster %s%s", name, didYouMean(name, known)), hint{"see what there is", "get clusters"})
		}
	}
	without := func(name string) bool { return !slices.Contains(names, name) }
	p.Clusters = slices.DeleteFunc(p.Clusters, func(c v1alpha1.ClusterProspect) bool { return without(c.Name) })
	p.Acting = slices.DeleteFunc(p.Acting, without)
	return p, nil
}

func confirmResume(c *cli.Context) error {
	if c.Bool("yes") {
		return nil
	}
	if !isTerminal(c.App.Reader) {
		return usage("nobody is there to ask: say --yes")
	}
	fmt.Fprint(c.App.ErrWriter, "type resume to let this happen: ")
	typed, _ := bufio.NewReader(c.App.Reader).ReadString('\n')
	if strings.TrimSpace(typed) != "resume" {
		return &failure{code: exitError, why: "something else was typed; nothing was done"}
	}
	return nil
}

func sayResumed(c *cli.Context, done v1alpha1.Resumed) {
	talk, who := c.App.ErrWriter, "the fleet acts"
	if len(done.Observing) > 0 {
		who = acts(done.Clusters)
	}
	fmt.Fprintf(talk, "%s again since revision %d\n", who, done.Revision)
	if len(done.Observing) > 0 {
		fmt.Fprintf(talk, "  until they are resumed, too, nothing is done in %s\n", few(done.Observing))
	}
	fmt.Fprintln(talk, "  "+hint{"see it", "status"}.line(c.App.Name))
}

// acts: fra acts; fra, iad act.
func acts(clusters []string) string {
	if len(clusters) == 1 {
		return clusters[0] + " acts"
	}
	return few(clusters) + " act"
}

func showProspect(c *cli.Context, format string, p v1alpha1.Prospect) error {
	if format != formatTable {
		body, err := json.Marshal(p)
		if err != nil {
			return err
		}
		if format == formatJSON {
			return printJSON(c.App.Writer, body)
		}
		return printYAML(c.App.Writer, body)
	}
	out := c.App.Writer
	if len(p.Clusters) == 0 {
		who := "the fleet acts"
		if p.Observing {
			who = acts(p.Acting)
		}
		fmt.Fprintln(out, who+": there is nothing to resume")
		return nil
	}
	looks := "the fleet only looks"
	if len(p.Acting) > 0 {
		looks = fmt.Sprintf("%d of %d clusters only look", len(p.Clusters), len(p.Clusters)+len(p.Acting))
	}
	fmt.Fprintf(out, "%s at epoch %d, from revision %d: %s\n\n", inWords(string(p.Reason)), p.Epoch, p.From, looks)
	(&tablePrinter{out: out}).lines(prospectLines(p))
	if slices.ContainsFunc(p.Clusters, func(c v1alpha1.ClusterProspect) bool {
		return slices.ContainsFunc(c.Bundles, func(b v1alpha1.BundleProspect) bool { return b.Would == v1alpha1.WouldWait })
	}) {
		fmt.Fprintln(out, "\nwhat is newer stays until somebody decides about the bundle: hanse apply a changed version of it, or hanse delete it")
	}
	return nil
}

func prospectLines(p v1alpha1.Prospect) [][]string {
	lines := [][]string{{"CLUSTER", "BUNDLE", "ON RESUME"}}
	for _, c := range p.Clusters {
		switch {
		case !c.Member:
			lines = append(lines, []string{c.Name, "–", "nothing: it has no member, must join again, and is resumed then"})
		case len(c.Bundles) == 0:
			lines = append(lines, []string{c.Name, "–", "nothing: no bundle is for it"})
		default:
			for _, b := range c.Bundles {
				lines = append(lines, []string{c.Name, b.Bundle, wouldWords(b)})
			}
		}
	}
	return lines
}

func wouldWords(b v1alpha1.BundleProspect) string {
	switch b.Would {
	case v1alpha1.WouldKeep:
		return "stays as it is"
	case v1alpha1.WouldGrant:
		return "is granted what the log has, in a wave"
	case v1alpha1.WouldRemove:
		return "is taken away: it is not for this cluster any more, and its objects are deleted"
	case v1alpha1.WouldWait:
		return "stays: it runs something newer, which the log has lost"
	case v1alpha1.WouldChange:
		return fmt.Sprintf("objects: %d changed, %d deleted", b.Changes, b.Deletions)
	}
	return "not known: its member has not looked yet"
}
