package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// move is what one bundle, or secret, would leave and come to, because something else than the bundle changes.
type move struct {
	Bundle string   `json:"bundle"`
	Leaves []string `json:"leaves,omitempty"`
	Comes  []string `json:"comes,omitempty"`
	// Deleted is how many objects would be deleted where it leaves.
	Deleted int `json:"deleted,omitempty"`
}

// wouldBe are the objects of a change that say where others go, as they are to be.
type wouldBe struct {
	clusters map[string]v1alpha1.Cluster
	groups   map[string]v1alpha1.RecipientGroup
	secrets  map[string]v1alpha1.FleetSecret
}

func nothingYet() wouldBe {
	return wouldBe{map[string]v1alpha1.Cluster{}, map[string]v1alpha1.RecipientGroup{}, map[string]v1alpha1.FleetSecret{}}
}

// take takes an object that is to be so. Of kinds that place nothing, it takes nothing.
func (w wouldBe) take(kind string, u *unstructured.Unstructured) error {
	switch kind {
	case "Cluster":
		return becomesOne(w.clusters, u)
	case "RecipientGroup":
		return becomesOne(w.groups, u)
	case "FleetSecret":
		return becomesOne(w.secrets, u)
	}
	return nil
}

func becomesOne[T any](all map[string]T, u *unstructured.Unstructured) error {
	var one T
	if err := fromMap(u.Object, &one); err != nil {
		return err
	}
	all[u.GetName()] = one
	return nil
}

func (w wouldBe) empty() bool { return len(w.clusters)+len(w.groups)+len(w.secrets) == 0 }

// moves finds what would move if things were so.
func (f *fleet) moves(ctx context.Context, then wouldBe) ([]move, error) {
	if then.empty() {
		return nil, nil
	}
	now, err := f.rolledOutNow(ctx)
	if err != nil {
		return nil, err
	}
	everywhere, err := f.everywhere(ctx)
	if err != nil {
		return nil, err
	}
	bundles, contents := now.bundles(), contents{fleet: f, had: map[string]v1alpha1.BundleContent{}}
	for _, b := range bundles {
		contents.had[v1alpha1.RevisionName(b.Name, string(b.UID), b.Generation)] = b.Spec.BundleContent
	}
	letsGo := func(w v1alpha1.Work) (bool, error) {
		if v1alpha1.RolledOutOf(w.Spec.Bundle).IsSecret() {
			return false, nil
		}
		return contents.letsGo(ctx, w)
	}
	return movesOf(bundles, now.with(then).bundles(), everywhere, then, letsGo)
}

// ground is the ground as it would be.
func (w wouldBe) ground(g plan.Ground) plan.Ground {
	g.Clusters = slices.Clone(g.Clusters)
	for i := range g.Clusters {
		if c, changed := w.clusters[g.Clusters[i].Name]; changed {
			g.Clusters[i] = c
		}
	}
	return g
}

// movesOf compares where bundles are with where they would be. What is to leave, or come, already is not of the change. letsGo says whether what a
// cluster has stays there.
func movesOf(before, after []v1alpha1.Bundle, s scene, then wouldBe, letsGo func(v1alpha1.Work) (bool, error)) (all []move, err error) {
	old := map[string]v1alpha1.Bundle{}
	for _, b := range before {
		old[b.Name] = b
	}
	for _, b := range after {
		was, there := old[b.Name]
		ground := s.of(b)
		var picked plan.Decision
		if there {
			if picked, err = plan.Place(was.Spec.Placement, ground); err != nil {
				return nil, fmt.Errorf("place %s: %w", b.Name, err)
			}
		}
		would, err := plan.Place(b.Spec.Placement, then.ground(ground))
		if err != nil {
			return nil, fmt.Errorf("place %s: %w", b.Name, err)
		}
		m := move{Bundle: b.Name}
		for _, cluster := range picked.Picked {
			work := s.works[b.Name][cluster]
			if !has(work) || slices.Contains(would.Picked, cluster) {
				continue
			}
			m.Leaves = append(m.Leaves, cluster)
			switch stays, err := letsGo(work); {
			case err != nil:
				return nil, fmt.Errorf("read what %s has of %s: %w", cluster, b.Name, err)
			case !stays:
				m.Deleted += int(work.Status.Objects)
			}
		}
		for _, cluster := range would.Picked {
			if !slices.Contains(picked.Picked, cluster) {
				m.Comes = append(m.Comes, cluster)
			}
		}
		if len(m.Leaves)+len(m.Comes) > 0 {
			all = append(all, m)
		}
	}
	return all, nil
}

// printMoves says what would move, what leaves most first, and what would be deleted.
func printMoves(out io.Writer, all []move) {
	if len(all) == 0 {
		fmt.Fprintln(out, "no bundle would leave or come to a cluster")
		return
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b move) int { return len(b.Leaves) - len(a.Leaves) })
	leave, clusters, deleted := 0, map[string]bool{}, 0
	var lines [][]string
	for _, m := range all {
		if len(m.Leaves) > 0 {
			leave++
			deleted += m.Deleted
			lines = append(lines, []string{"  " + m.Bundle, "leaves " + few(m.Leaves), v1alpha1.Counted(m.Deleted, "1 object is deleted", "%d objects are deleted")})
		}
		for _, cluster := range m.Leaves {
			clusters[cluster] = true
		}
		if len(m.Comes) > 0 {
			lines = append(lines, []string{"  " + m.Bundle, "comes to " + few(m.Comes), ""})
		}
	}
	switch leave {
	case 0:
		fmt.Fprintf(out, "nothing would leave; %s come, by rollouts:\n", v1alpha1.Counted(len(all), "1 bundle would", "%d bundles would"))
	default:
		fmt.Fprintf(out, "%s leave %s, and %s, by rollouts:\n", v1alpha1.Counted(leave, "1 bundle would", "%d bundles would"), clusterCount(len(clusters)),
			v1alpha1.Counted(deleted, "1 object would be deleted", "%d objects would be deleted"))
	}
	(&tablePrinter{out: out}).lines(lines)
}
