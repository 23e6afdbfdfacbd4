package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func resumeVerb() *cli.Command {
	return &cli.Command{
		Name:  "resume",
		Usage: "let a restored or recovered fleet act in its clusters again",
		UsageText: `hanse resume --show       what would happen in each cluster
hanse resume              shows it, and asks
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
	if err := noNames(c); err != nil {
		return during("resume", err)
	}
	format, err := outputFormat(c, formatTable, formatJSON, formatYAML)
	if err != nil {
		return during("resume", err)
	}
	f, err := connect(c, nil)
	if err != nil {
		return during("resume", err)
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	var p v1alpha1.Prospect
	body, err := f.read(ctx, request{path: v1alpha1.PathResume}, &p)
	if err != nil {
		return during("resume", err)
	}
	if err := showProspect(c, format, body, p); err != nil || c.Bool("show") {
		return during("resume", err)
	}
	if !p.Observing {
		return nil
	}
	if err := confirmResume(c); err != nil {
		return during("resume", err)
	}
	ctx, cancel = withTimeout(c) // however long the person took
	defer cancel()
	body, err = f.write(ctx, request{verb: "POST", path: v1alpha1.PathResume})
	if err != nil {
		return during("resume", err)
	}
	var done v1alpha1.Resumed
	if err := json.Unmarshal(body, &done); err != nil {
		return during("resume", fmt.Errorf("%s answers what is no JSON of the fleet", f.server))
	}
	fmt.Fprintf(c.App.ErrWriter, "the fleet acts again since revision %d\n", done.Revision)
	fmt.Fprintln(c.App.ErrWriter, "  "+hint{"see it", "status"}.line(c.App.Name))
	return nil
}

func confirmResume(c *cli.Context) error {
	if c.Bool("yes") {
		return nil
	}
	if !isTerminal(c.App.Reader) {
		return usage("nobody is there to ask: say --yes")
	}
	fmt.Fprint(c.App.ErrWriter, "type resume to let the fleet do this: ")
	typed, _ := bufio.NewReader(c.App.Reader).ReadString('\n')
	if strings.TrimSpace(typed) != "resume" {
		return &failure{code: exitError, why: "something else was typed; nothing was done"}
	}
	return nil
}

func showProspect(c *cli.Context, format string, body []byte, p v1alpha1.Prospect) error {
	switch format {
	case formatJSON:
		return printJSON(c.App.Writer, body)
	case formatYAML:
		return printYAML(c.App.Writer, body)
	}
	out := c.App.Writer
	if !p.Observing {
		fmt.Fprintln(out, "the fleet acts: there is nothing to resume")
		return nil
	}
	fmt.Fprintf(out, "%s at epoch %d, from revision %d: the fleet only looks\n\n", strings.ToLower(string(p.Reason)), p.Epoch, p.From)
	lines := [][]string{{"CLUSTER", "BUNDLE", "ON RESUME"}}
	waits := false
	for _, cl := range p.Clusters {
		if !cl.Member {
			lines = append(lines, []string{cl.Name, "–", "nothing: it has no member, and must join again"})
			continue
		}
		for _, b := range cl.Bundles {
			lines = append(lines, []string{cl.Name, b.Bundle, wouldWords(b)})
			waits = waits || b.Would == v1alpha1.WouldWait
		}
		if len(cl.Bundles) == 0 {
			lines = append(lines, []string{cl.Name, "–", "nothing: no bundle is for it"})
		}
	}
	(&tablePrinter{out: out}).lines(lines)
	if waits {
		fmt.Fprintln(out, "\nwhat is newer stays until somebody decides about the bundle: hanse apply it again, or hanse delete it")
	}
	return nil
}

func wouldWords(b v1alpha1.BundleProspect) string {
	switch b.Would {
	case v1alpha1.WouldKeep:
		return "stays as it is"
	case v1alpha1.WouldGrant:
		return "is granted what the log has, in a wave"
	case v1alpha1.WouldWait:
		return "stays: it runs something newer, which the log has lost"
	case v1alpha1.WouldChange:
		return fmt.Sprintf("objects: %d changed, %d deleted", b.Changes, b.Deletions)
	}
	return "not known: its member has not looked yet"
}
