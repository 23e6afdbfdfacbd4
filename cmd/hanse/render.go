package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/render"
)

func renderVerb() *cli.Command {
	return &cli.Command{
		Name:      "render",
		Usage:     "print exactly what a cluster runs of a bundle, or will run",
		UsageText: `hanse render BUNDLE --cluster CLUSTER`,
		Flags: append(connectionFlags(defaultTimeout), outputFlag(formatYAML, formatJSON),
			&cli.StringFlag{Name: "cluster", Usage: "the CLUSTER that it is rendered for"}),
		Action: renderAction,
	}
}

func renderAction(c *cli.Context) error {
	if c.NArg() != 1 || c.String("cluster") == "" {
		return during("render", usage("which bundle, for which cluster?", hint{"for example", "render shop --cluster fra"}))
	}
	cluster := bareCluster(c.String("cluster"))
	doing := fmt.Sprintf("render %s for %s", c.Args().First(), cluster)
	bundle, err := storedName(c.Args().First())
	if err != nil {
		return during(doing, err)
	}
	format, err := outputFormat(c, formatYAML, formatJSON)
	if err != nil {
		return during(doing, err)
	}
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return during(doing, err)
	}
	objects, err := f.rendered(c.Context, bundle, cluster, c.App.ErrWriter)
	if err != nil {
		return during(doing, err)
	}
	return during(doing, printRendered(c.App.Writer, format, objects))
}

// rendered is what a cluster is to run of a bundle's newest revision: with what its grant has frozen once it has one, and before
// with the cluster as it is now. It says on the side when something else runs there.
func (f *fleet) rendered(ctx context.Context, bundle, cluster string, talk io.Writer) ([]unstructured.Unstructured, error) {
	b, err := f.rolledOut(ctx, bundle)
	if err != nil {
		return nil, err
	}
	var work v1alpha1.Work
	_, err = f.read(ctx, request{path: mustKind("Work").path(v1alpha1.WorkName(bundle, cluster))}, &work)
	if err != nil && !isReason(err, metav1.StatusReasonNotFound) {
		return nil, err
	}
	frozen, newest := work.Spec.Frozen, v1alpha1.RevisionName(b.Name, string(b.UID), b.Generation)
	if work.Spec.Granted != newest {
		if frozen, err = f.freeze(ctx, *b, newest, cluster); err != nil {
			return nil, err
		}
		fmt.Fprintln(talk, notYet(work.Spec, cluster))
	}
	content := b.Spec.BundleContent
	if v1alpha1.RolledOutOf(bundle).IsSecret() {
		if content, err = (&contents{fleet: f, had: map[string]v1alpha1.BundleContent{}}).get(ctx, newest); err != nil {
			return nil, err
		}
		fmt.Fprintf(talk, "it is sealed: %s opens it, and has a Secret of each name and namespace\n", cluster)
	}
	objects, err := render.Render(content, frozen)
	if err != nil {
		return nil, &failure{code: exitDiffers, why: err.Error()}
	}
	return objects, nil
}

// notYet says why what is rendered is not what the cluster was granted.
func notYet(w v1alpha1.WorkSpec, cluster string) string {
	switch {
	case w.Wanted == "":
		return fmt.Sprintf("it is not placed in %s: this is what it would run there", cluster)
	case w.Granted == "":
		return fmt.Sprintf("%s was not granted it yet: this is what it will run", cluster)
	}
	return fmt.Sprintf("%s still has %s: this is what it will run", cluster, w.Granted)
}

// freeze is what a grant to the cluster would freeze now.
func (f *fleet) freeze(ctx context.Context, b v1alpha1.Bundle, revision, cluster string) (*v1alpha1.Frozen, error) {
	ground, works, err := f.ground(ctx, b)
	if err != nil {
		return nil, err
	}
	if ground.Cluster(cluster) == nil {
		return nil, noCluster(cluster)
	}
	placed, err := plan.Place(b.Spec.Placement, ground)
	if err != nil {
		return nil, err
	}
	return whereabouts{b, ground, placed, works}.freeze(revision, cluster), nil
}

// freeze is what a grant of the bundle to one of the clusters would freeze now.
func (w whereabouts) freeze(revision, cluster string) *v1alpha1.Frozen {
	content := w.bundle.Spec.BundleContent
	frozen := render.Freeze(content, w.ground.Cluster(cluster), w.ground.Metrics[cluster])
	if len(content.Division) == 0 {
		return frozen
	}
	p := plan.Parting{
		Placement: w.bundle.Spec.Placement, Division: content.Division, Wholes: render.Wholes(content), Revision: revision,
		Picked: w.decision.Picked, Ground: w.ground, Grants: map[string]v1alpha1.Grant{},
	}
	for name, work := range w.works {
		p.Grants[name] = v1alpha1.Grant{Revision: work.Spec.Granted, Frozen: work.Spec.Frozen}
	}
	frozen.Divided = plan.Parts(p, cluster)
	return frozen
}

// printRendered prints objects as kubectl would read them again.
func printRendered(out io.Writer, format string, objects []unstructured.Unstructured) error {
	if format == formatJSON {
		items := []map[string]any{}
		for _, u := range objects {
			items = append(items, u.Object)
		}
		data, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
		if err != nil {
			return fmt.Errorf("print objects: %w", err)
		}
		return printJSON(out, data)
	}
	for i, u := range objects {
		if i > 0 {
			fmt.Fprintln(out, "---")
		}
		data, err := json.Marshal(u.Object)
		if err == nil {
			err = printYAML(out, data)
		}
		if err != nil {
			return fmt.Errorf("print objects: %w", err)
		}
	}
	return nil
}
