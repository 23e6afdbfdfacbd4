package v1alpha1

import "testing"

func TestWhatAPlacementMaySay(t *testing.T) {
	for what, row := range map[string]struct {
		change func(*Placement)
		faults []string
	}{
		"none of the clusters":      {func(p *Placement) { p.NumberOfClusters = new(int32) }, []string{"spec.placement.numberOfClusters"}},
		"a toleration of anything":  {func(p *Placement) { p.Tolerations = []Toleration{{Operator: TolerationExists}} }, nil},
		"a toleration of no key":    {func(p *Placement) { p.Tolerations = []Toleration{{Value: "a"}} }, []string{"spec.placement.tolerations[0].key"}},
		"any value, and this one":   {func(p *Placement) { p.Tolerations = []Toleration{{Key: "a", Operator: TolerationExists, Value: "a"}} }, []string{"spec.placement.tolerations[0].value"}},
		"an effect of another kind": {func(p *Placement) { p.Tolerations = []Toleration{{Key: "a", Effect: "PreferNoSchedule"}} }, []string{"spec.placement.tolerations[0].effect"}},
		"an unreachable cluster for a while": {func(p *Placement) {
			p.Tolerations = []Toleration{{Key: TaintUnreachable, Operator: TolerationExists, Effect: TaintNoExecute, TolerationSeconds: new(int64(60))}}
		}, nil},
		"any taint for a while": {func(p *Placement) {
			p.Tolerations = []Toleration{{Key: "a", Operator: TolerationExists, Effect: TaintNoExecute, TolerationSeconds: new(int64(60))}}
		}, []string{"spec.placement.tolerations[0].tolerationSeconds"}},
		"an unreachable cluster for no time": {func(p *Placement) {
			p.Tolerations = []Toleration{{Key: TaintUnreachable, Operator: TolerationExists, Effect: TaintNoExecute, TolerationSeconds: new(int64)}}
		}, []string{"spec.placement.tolerations[0].tolerationSeconds"}},
		"a spread over nothing": {func(p *Placement) { p.SpreadConstraints = []SpreadConstraint{{}} }, []string{"spec.placement.spreadConstraints[0].topologyKey"}},
		"a spread with its defaults": {func(p *Placement) {
			p.SpreadConstraints = []SpreadConstraint{{TopologyKey: LabelRegion}}
		}, nil},
		"two spreads over one label": {func(p *Placement) {
			p.SpreadConstraints = []SpreadConstraint{{TopologyKey: LabelRegion}, {TopologyKey: LabelRegion}}
		}, []string{"spec.placement.spreadConstraints[1].topologyKey"}},
		"a skew below one": {func(p *Placement) {
			p.SpreadConstraints = []SpreadConstraint{{TopologyKey: LabelRegion, MaxSkew: -1}}
		}, []string{"spec.placement.spreadConstraints[0].maxSkew"}},
		"two clusters in three places": {func(p *Placement) {
			two := int32(2)
			p.NumberOfClusters, p.SpreadConstraints = &two, []SpreadConstraint{{TopologyKey: LabelRegion, MinDomains: 3}}
		}, []string{"spec.placement.spreadConstraints[0].minDomains"}},
		"something else when it cannot be": {func(p *Placement) {
			p.SpreadConstraints = []SpreadConstraint{{TopologyKey: LabelRegion, WhenUnsatisfiable: "DoNotSchedule"}}
		}, []string{"spec.placement.spreadConstraints[0].whenUnsatisfiable"}},
	} {
		t.Run(what, func(t *testing.T) {
			b := &Bundle{ObjectMeta: named("shop")}
			row.change(&b.Spec.Placement)
			SetBundleDefaults(b)
			expectFaults(t, ValidateBundle(b), row.faults...)
		})
	}
}

func TestWhatKeepsBundlesOutOfACluster(t *testing.T) {
	for what, row := range map[string]struct {
		spec   ClusterSpec
		faults []string
	}{
		"one taint of each effect": {ClusterSpec{Taints: []Taint{{Key: "a", Effect: TaintNoExecute}, {Key: "a", Effect: TaintNoSchedule}}}, nil},
		"a taint that is twice":    {ClusterSpec{Taints: []Taint{{Key: "a", Effect: TaintNoExecute}, {Key: "a", Value: "b", Effect: TaintNoExecute}}}, []string{"spec.taints[1]"}},
		"a taint of no effect":     {ClusterSpec{Taints: []Taint{{Key: "a"}}}, []string{"spec.taints[0].effect"}},
		"the fleet's own taint":    {ClusterSpec{Taints: []Taint{{Key: TaintUnreachable, Effect: TaintNoExecute}}}, []string{"spec.taints[0].key"}},
		"a taint of no key":        {ClusterSpec{Taints: []Taint{{Effect: TaintNoExecute}}}, []string{"spec.taints[0].key"}},
		"cordoned":                 {ClusterSpec{Availability: AvailabilityCordoned}, nil},
		"half there":               {ClusterSpec{Availability: "Half"}, []string{"spec.availability"}},
	} {
		t.Run(what, func(t *testing.T) {
			c := &Cluster{ObjectMeta: named("fra"), Spec: row.spec}
			c.Spec.Region = "eu"
			SetClusterDefaults(c)
			expectFaults(t, ValidateCluster(c), row.faults...)
		})
	}
	for cost, fine := range map[string]bool{"2.5": true, "0": true, "cheap": false, "-1": false, "NaN": false, "Inf": false} {
		t.Run("a cost of "+cost, func(t *testing.T) {
			c := &Cluster{ObjectMeta: named("fra"), Spec: ClusterSpec{Region: "eu"}}
			c.Labels = map[string]string{LabelCost: cost}
			SetClusterDefaults(c)
			if errs := ValidateCluster(c); (len(errs) == 0) != fine {
				t.Error(errs)
			}
		})
	}
}
