package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// mayPutRight says what is put right at once when what is suspended is reconciled again, and asks where that is in several fault domains.
func (f *fleet) mayPutRight(ctx context.Context, c *cli.Context, rolled v1alpha1.RolledOut) error {
	b, err := f.rolledOut(ctx, rolled.String())
	if isReason(err, metav1.StatusReasonNotFound) || err == nil && (v1alpha1.Suspension(b) == "" || b.Spec.Drift == v1alpha1.DriftReport) {
		return nil // the write says so, or nothing is put right
	}
	if err != nil {
		return err
	}
	works, err := f.works(ctx)
	if err != nil {
		return err
	}
	var clusters v1alpha1.ClusterList
	if _, err := f.read(ctx, request{path: mustKind("Cluster").path()}, &clusters); err != nil {
		return err
	}
	changing, said := putRight(works[b.Name], clusters.Items)
	if len(changing) == 0 {
		return nil
	}
	order := v1alpha1.Correction{Number: 1, In: []v1alpha1.CorrectionIn{{Clusters: changing}}}
	domains, err := f.domainsOf(ctx, *b, order, clusters.Items)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.App.ErrWriter, "put right at once, as it was granted:")
	(&tablePrinter{out: c.App.ErrWriter}).lines(said)
	if !rolled.IsSecret() {
		fmt.Fprintln(c.App.ErrWriter, hint{"field by field", "drift " + rolled.Name}.line(c.App.Name))
	}
	if len(domains) < 2 {
		return nil
	}
	return typedName(c, changesAtOnce(domains)+"; clusters that are suspended themselves stay as they are", rolled.Name)
}

// putRight are the clusters in which something is changed at once when their bundle is suspended no more, as their members say, and a line
// for each.
func putRight(works map[string]v1alpha1.Work, clusters []v1alpha1.Cluster) (names []string, said [][]string) {
	for _, name := range slices.Sorted(maps.Keys(works)) {
		foreseen := works[name].Status.Foreseen
		itself := func(c v1alpha1.Cluster) bool { return c.Name == name && v1alpha1.Suspension(&c) != "" }
		if foreseen == nil || foreseen.Changes+foreseen.Deletions == 0 || slices.ContainsFunc(clusters, itself) {
			continue
		}
		names = append(names, name)
		said = append(said, []string{"  " + name, fmt.Sprintf("%s, %d deleted", v1alpha1.Counted(foreseen.Changes, "1 object changed", "%d objects changed"), foreseen.Deletions)})
	}
	return names, said
}
