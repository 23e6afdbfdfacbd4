package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func leadVerb() *cli.Command {
	return &cli.Command{
		Name:  "lead",
		Usage: "move the leadership to a cluster or a region, and keep it there",
		UsageText: `hanse lead CLUSTER
hanse lead REGION           any voter of the region
hanse lead --auto           where a majority of the voters is nearest, as before`,
		Flags: append(connectionFlags(defaultTimeout),
			&cli.BoolFlag{Name: "auto", Usage: "let it go where it is best again"},
		),
		Action: leadAction,
	}
}

func leadAction(c *cli.Context) error {
	ask := v1alpha1.LeadRequest{Auto: c.Bool("auto")}
	switch {
	case ask.Auto && c.NArg() > 0:
		return during("lead", usage("a place and --auto: which of the two?"))
	case !ask.Auto && c.NArg() != 1:
		return during("lead", usage("which cluster, or which region?", hint{"see who votes", "status"}))
	case !ask.Auto:
		ask.Place = bareCluster(c.Args().First())
	}
	doing := strings.TrimSpace("lead " + ask.Place)
	answer, server, err := post(c, v1alpha1.PathLead, ask)
	if isReason(err, metav1.StatusReasonBadRequest) {
		err = &failure{code: exitError, why: err.Error(), hints: []hint{{"see who votes, and where", "status"}}}
	}
	if err != nil {
		return during(doing, err)
	}
	var moved v1alpha1.LeadAnswer
	if err := json.Unmarshal(answer, &moved); err != nil {
		return during(doing, fmt.Errorf("%s answers what is no JSON of the fleet: %w", server, err))
	}
	if moved.Waits {
		why := fmt.Sprintf("%s leads still, and the place is written: the leadership moves once the voter there has caught up", cmp.Or(moved.To, "nobody"))
		return during(doing, &failure{code: exitUncertain, why: why, hints: []hint{{"see who leads", "status"}}})
	}
	fmt.Fprintln(c.App.Writer, leadWords(ask, moved))
	return nil
}

// leadWords: iad leads, fra did; after 0.21 s.
func leadWords(ask v1alpha1.LeadRequest, a v1alpha1.LeadAnswer) string {
	switch {
	case ask.Auto:
		return a.To + " leads; the leadership goes where a majority of the voters is nearest"
	case a.From == a.To:
		return a.To + " leads already, and stays"
	}
	return fmt.Sprintf("%s leads, %s did; after %s", a.To, dash(a.From), span(time.Duration(a.TookMillis)*time.Millisecond))
}
