package main

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func secretReadersVerb() *cli.Command {
	return &cli.Command{
		Name: "readers", Usage: "say who can read a secret, and who could read it earlier",
		UsageText: `hanse secret readers db

It tells of each revision that is kept who can read it, and who could, until when. Every member gives the same answer.`,
		Flags:  append(connectionFlags(defaultTimeout), outputFlag(formatTable, formatWide, formatJSON, formatYAML)),
		Action: secretReadersAction,
	}
}

func secretReadersAction(c *cli.Context) error {
	if c.NArg() != 1 {
		return during("secret readers", usage("of which secret?", hint{"see which there are", "get fleetsecrets"}))
	}
	name := v1alpha1.RolledOutOf(strings.TrimPrefix(c.Args().First(), "fleetsecret/")).Name
	doing := "secret readers " + name
	format, err := outputFormat(c, formatTable, formatWide, formatJSON, formatYAML)
	if err != nil {
		return during(doing, err)
	}
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return during(doing, err)
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	var all v1alpha1.SecretReaders
	body, err := f.read(ctx, request{path: v1alpha1.PathReaders, query: url.Values{"secret": {name}}}, &all)
	switch {
	case isReason(err, metav1.StatusReasonNotFound):
		err = &failure{code: exitError, why: err.Error(), hints: []hint{{"see which there are", "get fleetsecrets"}}}
	case err == nil && format == formatJSON:
		err = printJSON(c.App.Writer, body)
	case err == nil && format == formatYAML:
		err = printYAML(c.App.Writer, body)
	case err == nil:
		view := exposedView{now: time.Now(), wide: format == formatWide}
		(&tablePrinter{out: c.App.Writer}).lines(view.readers(all))
	}
	return during(doing, err)
}

// readers are a line each for the revisions of a secret.
func (v exposedView) readers(all v1alpha1.SecretReaders) [][]string {
	lines := [][]string{{"GENERATION", "SEALED FOR", "KEY", "CAN READ IT", "COULD READ IT, UNTIL"}}
	for _, r := range all.Revisions {
		var can, could []string
		for _, reader := range r.Readers {
			if reader.Lost() {
				could = append(could, readerWords(reader)+", "+v.until(reader))
			} else {
				can = append(can, readerWords(reader))
			}
		}
		generation, key := fmt.Sprint(r.Generation), ""
		if r.Present {
			generation += ", present"
		} else if r.Granted {
			generation += ", in clusters"
		}
		if r.Epoch > 0 {
			key = fmt.Sprint(r.Epoch)
		}
		words := few
		if v.wide {
			words = func(names []string) string { return strings.Join(names, ", ") }
		}
		joined := strings.Join(could, "; ")
		lines = append(lines, []string{generation, r.Group, dash(key), dash(words(can)), dash(joined)})
	}
	return lines
}
