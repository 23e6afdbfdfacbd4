package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func cordonVerb() *cli.Command {
	return &cli.Command{
		Name: "cordon", Usage: "let nothing new come to clusters; what is there stays, and gets its changes", UsageText: "hanse cordon CLUSTER… [--reason TEXT]",
		Flags:  append(connectionFlags(defaultTimeout), reasonFlag()),
		Action: availabilityAction("cordon", v1alpha1.AvailabilityCordoned),
	}
}

func uncordonVerb() *cli.Command {
	return &cli.Command{
		Name: "uncordon", Usage: "let clusters take on bundles again, after cordon or drain", UsageText: "hanse uncordon CLUSTER…",
		Flags:  connectionFlags(defaultTimeout),
		Action: availabilityAction("uncordon", v1alpha1.AvailabilityActive),
	}
}

func reasonFlag() cli.Flag {
	return &cli.StringFlag{Name: "reason", Usage: "TEXT that explain shows to people"}
}

// availabilities are what a cluster is then, and what that means.
var availabilities = map[v1alpha1.Availability][2]string{
	v1alpha1.AvailabilityActive:   {"takes on bundles", ""},
	v1alpha1.AvailabilityCordoned: {"is cordoned", ": nothing new comes to it, and what is there stays"},
	v1alpha1.AvailabilityDrained:  {"is drained", ": what is there leaves, one fault domain at a time"},
}

func availabilityAction(verb string, to v1alpha1.Availability) cli.ActionFunc {
	return func(c *cli.Context) error {
		return eachCluster(c, verb, func(f *fleet, cluster string) error {
			ctx, cancel := withTimeout(c)
			defer cancel()
			said, err := f.setAvailability(ctx, cluster, to, c.String("reason"))
			if err == nil {
				fmt.Fprintln(c.App.Writer, said)
			}
			return err
		})
	}
}

// eachCluster does something with the clusters that were typed, up to the first with which it cannot be done.
func eachCluster(c *cli.Context, verb string, do func(f *fleet, cluster string) error) error {
	if c.NArg() == 0 {
		return during(verb, usage("which cluster?", hint{"see what there is", "get clusters"}))
	}
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return during(verb, err)
	}
	for _, typed := range c.Args().Slice() {
		cluster := bareCluster(typed)
		if err := do(f, cluster); err != nil {
			return during(verb+" "+cluster, err)
		}
	}
	return nil
}

// setAvailability says of a cluster what it takes on, and why. It writes what it has read, so that nobody's word is lost who says another
// thing at the same time.
func (f *fleet) setAvailability(ctx context.Context, name string, to v1alpha1.Availability, reason string) (said string, err error) {
	words := availabilities[to]
	for look := 1; ; look++ {
		var was v1alpha1.Cluster
		if _, err := f.read(ctx, request{path: mustKind("Cluster").path(name)}, &was); err != nil {
			return "", err
		}
		is := was.Spec.Availability
		if is == "" {
			is = v1alpha1.AvailabilityActive
		}
		if is == to && reason == was.Annotations[v1alpha1.AnnotationAvailability] {
			return fmt.Sprintf("cluster %s %s already%s", name, words[0], words[1]), nil
		}
		body, err := f.merge(ctx, request{path: mustKind("Cluster").path(name)}, availabilityPatch(was, to, reason))
		if isReason(err, metav1.StatusReasonConflict) && look < ordersTries {
			continue // somebody wrote it meanwhile: the leader does so all the time
		}
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("cluster %s %s%s%s", name, words[0], atRevision(body), words[1]), nil
	}
}

func availabilityPatch(was v1alpha1.Cluster, to v1alpha1.Availability, reason string) map[string]any {
	var why *string
	if reason != "" {
		why = &reason
	}
	return map[string]any{
		"metadata": map[string]any{"resourceVersion": was.ResourceVersion, "annotations": map[string]any{v1alpha1.AnnotationAvailability: why}},
		"spec":     map[string]any{"availability": to},
	}
}
