package plan

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// spreading counts how picked clusters lie over the values of one label.
type spreading struct {
	v1alpha1.SpreadConstraint
	// counts has every value that somebody who may be picked has.
	counts map[string]int32
	// without are how many of them have no value.
	without int
}

type spreadings []*spreading

func spreadingsOf(constraints []v1alpha1.SpreadConstraint, pool []site) (all spreadings) {
	for _, c := range constraints {
		s := &spreading{SpreadConstraint: c, counts: map[string]int32{}}
		s.MaxSkew = max(s.MaxSkew, 1)
		for _, one := range pool {
			if value, ok := one.Labels[c.TopologyKey]; ok {
				s.counts[value] = 0
			} else {
				s.without++
			}
		}
		all = append(all, s)
	}
	return all
}

// hard says that a cluster which breaks the spread is not picked.
func (s *spreading) hard() bool { return s.WhenUnsatisfiable != v1alpha1.ScheduleAnyway }

// next is who of a pool, best first, is to be picked next: the first that breaks the fewest spreadings. Strictly, nobody is who
// breaks one that is to be kept: -1.
func (all spreadings) next(pool []site, strict bool) int {
	best, fewest := -1, len(all)+1
	for i, one := range pool {
		breaks := 0
		for _, s := range all {
			if s.breaks(one) == "" {
				continue
			}
			if breaks++; strict && s.hard() {
				breaks = fewest
				break
			}
		}
		if breaks < fewest {
			best, fewest = i, breaks
		}
		if fewest == 0 {
			break
		}
	}
	return best
}

func (all spreadings) add(one site) {
	for _, s := range all {
		if value, ok := one.Labels[s.TopologyKey]; ok {
			s.counts[value]++
		}
	}
}

// breaks says how one more cluster would break the spread, "" when it would not.
func (s *spreading) breaks(one site) string {
	value, ok := one.Labels[s.TopologyKey]
	switch {
	case !ok:
		return "it has no label " + s.TopologyKey + ", which the clusters are spread over"
	case int(s.MinDomains) > len(s.counts):
		return s.tooFew()
	case s.counts[value] > 0 && s.used() < s.MinDomains:
		return fmt.Sprintf("%s=%s has %d already, and others have none: %d values are wanted", s.TopologyKey, value, s.counts[value], s.MinDomains)
	}
	if least, fewest := s.least(); s.counts[value]+1-fewest > s.MaxSkew {
		return fmt.Sprintf("%s=%s would have %s, and %s has %d: maxSkew is %d", s.TopologyKey, value, v1alpha1.Counted(s.counts[value]+1, "1 cluster", "%d clusters"), least, fewest, s.MaxSkew)
	}
	return ""
}

func (s *spreading) tooFew() string {
	return fmt.Sprintf("%s has %s to pick from, and %d are wanted", s.TopologyKey, v1alpha1.Counted(len(s.counts), "1 value", "%d values"), s.MinDomains)
}

// used is how many values have a picked cluster.
func (s *spreading) used() (n int32) {
	for _, count := range s.counts {
		if count > 0 {
			n++
		}
	}
	return n
}

// least is the value with the fewest picked clusters; the first by name, of several.
func (s *spreading) least() (value string, fewest int32) {
	fewest = -1
	for v, count := range s.counts {
		if fewest < 0 || count < fewest || count == fewest && v < value {
			value, fewest = v, count
		}
	}
	return value, max(fewest, 0)
}

// broken says how the spread is not kept by those that were picked.
func (s *spreading) broken() (said []string) {
	if len(s.counts) == 0 {
		if s.without > 0 {
			said = append(said, fmt.Sprintf("no cluster that may be picked has the label %s, which the clusters are spread over", s.TopologyKey))
		}
		return said
	}
	switch {
	case int(s.MinDomains) > len(s.counts):
		said = append(said, s.tooFew())
	case s.used() < s.MinDomains:
		said = append(said, fmt.Sprintf("%s has %s with a cluster, and %d are wanted", s.TopologyKey, v1alpha1.Counted(s.used(), "1 value", "%d values"), s.MinDomains))
	}
	most := slices.Max(slices.Collect(maps.Values(s.counts)))
	if _, fewest := s.least(); most-fewest > s.MaxSkew {
		said = append(said, fmt.Sprintf("%s is %s uneven, and maxSkew is %d: what is placed stays", s.TopologyKey, v1alpha1.Counted(most-fewest, "1 cluster", "%d clusters"), s.MaxSkew))
	}
	return said
}
