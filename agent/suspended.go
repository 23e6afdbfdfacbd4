package agent

import (
	"cmp"
	"fmt"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// suspensions say why nothing is written in a member's cluster: by bundle, and of all of them.
type suspensions struct {
	all     string
	bundles map[string]string
}

func (s suspensions) of(bundle string) string { return cmp.Or(s.all, s.bundles[bundle]) }

// suspensions are those that concern this member's cluster.
func (c *Core) suspensions(v *store.View) (suspensions, error) {
	s := suspensions{bundles: map[string]string{}}
	bundles, err := c.decoded.bundles.list(v)
	if err != nil {
		return s, err
	}
	for _, b := range bundles {
		if why := v1alpha1.Suspension(b.value); why != "" {
			s.bundles[b.value.Name] = v1alpha1.RolledOutOf(b.value.Name).Title() + " is " + why
		}
	}
	clusters, err := c.decoded.clusters.list(v)
	for _, o := range clusters {
		if why := v1alpha1.Suspension(o.value); why != "" && o.value.Name == c.self.Cluster {
			s.all = "the cluster is " + why
		}
	}
	return s, err
}

// suspended are a line each for what a person stopped.
func (c *Core) suspended(v *store.View) (lines []string) {
	clusters, _ := c.decoded.clusters.list(v) // who decides by them says what is wrong
	for _, o := range clusters {
		if why := v1alpha1.Suspension(o.value); why != "" {
			lines = append(lines, fmt.Sprintf("cluster %s is %s; hanse unsuspend cluster %[1]s", o.value.Name, why))
		}
	}
	bundles, _ := c.decoded.bundles.list(v)
	for _, b := range bundles {
		if why := v1alpha1.Suspension(b.value); why != "" {
			rolled := v1alpha1.RolledOutOf(b.value.Name)
			lines = append(lines, fmt.Sprintf("%s is %s; hanse unsuspend %s", rolled.Title(), why, rolled.Arg()))
		}
	}
	return lines
}
