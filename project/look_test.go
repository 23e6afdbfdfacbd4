package project

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// turning is a source of one fleet that is known, or not: while the cluster only looks it is not.
type turning struct {
	fleet Fleet
	known bool
}

func (s *turning) Changed() <-chan struct{} { return nil }

func (s *turning) Current() (Fleet, bool) {
	if !s.known {
		return Fleet{}, false
	}
	return s.fleet, true
}

func TestWhatHappensWhileTheClusterOnlyLooksIsOursStill(t *testing.T) {
	source := &turning{known: true, fleet: Fleet{Name: "acme", Cluster: "fra", Epoch: "e", Revision: 7, Members: []Member{{Cluster: "iad", UID: "u"}}}}
	for _, s := range standards {
		p := &projection{standard: s, config: Config{Source: source}, lives: map[string]live{}}
		source.known = true
		p.look()
		var one want
		for _, w := range p.wanted() {
			one = w
		}
		if one.name == "" {
			continue
		}
		u := one.marked(p.fleet)
		u.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: FieldManager, Operation: metav1.ManagedFieldsOperationApply}})
		source.known = false
		p.look()
		p.saw(u)
		source.known = true
		p.look()
		w, l := p.wanted()[one.name], p.lives[one.name]
		if v := decide(p.fleet, &w, &l); v != keep {
			t.Errorf("%s %s: %s", s.kind, one.name, v)
		}
	}
}
