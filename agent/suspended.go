package agent

import (
	"cmp"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
)

// suspensions say why nothing is written in a member's cluster: by bundle, and of all of them.
type suspensions struct {
	all     string
	bundles map[string]string
}

func (s suspensions) of(bundle string) string { return cmp.Or(s.all, s.bundles[bundle]) }

// suspensions are those that concern this member's cluster. A secret that cannot be read is as it was.
func (c *Core) suspensions(v *store.View, was suspensions) (suspensions, error) {
	s := suspensions{bundles: map[string]string{}}
	bundles, err := c.decoded.Bundles.List(v)
	if err != nil {
		return s, err
	}
	for _, b := range bundles {
		if why := v1alpha1.Suspension(b.Value); why != "" {
			s.bundles[b.Value.Name] = v1alpha1.RolledOutOf(b.Value.Name).Title() + " is " + why
		}
	}
	_, garbled := c.decoded.Bundles.Secrets.Readable(v)
	for key := range garbled {
		if name := decoded.RolledOutAt(key).String(); was.bundles[name] != "" {
			s.bundles[name] = was.bundles[name]
		}
	}
	clusters, err := c.decoded.Clusters.List(v)
	for _, o := range clusters {
		if why := v1alpha1.Suspension(o.Value); why != "" && o.Value.Name == c.self.Cluster {
			s.all = "the cluster is " + why
		}
	}
	return s, err
}

// suspended are a line each for what a person stopped, and one for many that were stopped alike.
func (c *Core) suspended(v *store.View) (lines []string) {
	var stopped []standstill
	clusters, _ := c.decoded.Clusters.List(v) // who decides by them says what is wrong
	for _, o := range clusters {
		stopped = appendStopped(stopped, o.Value, "cluster "+o.Value.Name, "cluster "+o.Value.Name)
	}
	lines = standstillLines("clusters", stopped)
	stopped = nil
	bundles, _ := c.decoded.Bundles.List(v)
	for _, b := range bundles {
		rolled := v1alpha1.RolledOutOf(b.Value.Name)
		stopped = appendStopped(stopped, b.Value, rolled.Title(), rolled.Arg())
	}
	return append(lines, standstillLines("bundles", stopped)...)
}

// standstill is something that a person stopped.
type standstill struct {
	title, arg string
	why, alike string
}

func appendStopped(all []standstill, o metav1.Object, title, arg string) []standstill {
	why := v1alpha1.Suspension(o)
	if why == "" {
		return all
	}
	return append(all, standstill{title: title, arg: arg, why: why, alike: v1alpha1.SuspendedBy(o)})
}

// fewStandstills is how many that are stopped alike have a line each.
const fewStandstills = 2

func standstillLines(kind string, stopped []standstill) (lines []string) {
	alike := map[string][]standstill{}
	for _, s := range stopped {
		alike[s.alike] = append(alike[s.alike], s)
	}
	for _, s := range stopped {
		same := alike[s.alike]
		switch {
		case len(same) <= fewStandstills:
			lines = append(lines, fmt.Sprintf("%s is %s; hanse unsuspend %s", s.title, s.why, s.arg))
		case same[0] == s:
			lines = append(lines, fmt.Sprintf("%d %s are suspended%s; each: hanse unsuspend %s", len(same), kind, s.alike, s.arg))
		}
	}
	return lines
}
