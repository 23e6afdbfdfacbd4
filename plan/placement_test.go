package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// town is a cluster of a region, changed by what is said of it.
func town(name, region string, says ...func(*v1alpha1.Cluster)) v1alpha1.Cluster {
	c := v1alpha1.Cluster{Spec: v1alpha1.ClusterSpec{Region: region}}
	c.Name, c.Labels = name, map[string]string{v1alpha1.LabelRegion: region}
	for _, say := range says {
		say(&c)
	}
	return c
}

func tainted(key, value string, effect v1alpha1.TaintEffect) func(*v1alpha1.Cluster) {
	return func(c *v1alpha1.Cluster) {
		c.Spec.Taints = append(c.Spec.Taints, v1alpha1.Taint{Key: key, Value: value, Effect: effect})
	}
}

func available(a v1alpha1.Availability) func(*v1alpha1.Cluster) {
	return func(c *v1alpha1.Cluster) { c.Spec.Availability = a }
}

func labelled(key, value string) func(*v1alpha1.Cluster) {
	return func(c *v1alpha1.Cluster) { c.Labels[key] = value }
}

// free are metrics of a cluster with ten cores, so many of them free.
func free(cores int64) v1alpha1.ClusterMetricsStatus {
	amount := func(n int64) v1alpha1.Amount {
		return v1alpha1.Amount{CPU: *resource.NewQuantity(n, resource.DecimalSI), Memory: *resource.NewQuantity(n<<30, resource.BinarySI)}
	}
	return v1alpha1.ClusterMetricsStatus{Capacity: &v1alpha1.CapacityReading{Allocatable: amount(10), Requested: amount(10 - cores)}}
}

func anywhere(says ...func(*v1alpha1.Placement)) v1alpha1.Placement {
	p := v1alpha1.Placement{ClusterSelector: &metav1.LabelSelector{}}
	for _, say := range says {
		say(&p)
	}
	return p
}

func number(n int32) func(*v1alpha1.Placement) {
	return func(p *v1alpha1.Placement) { p.NumberOfClusters = &n }
}

func suspended(c *v1alpha1.Cluster) {
	c.Annotations = map[string]string{v1alpha1.AnnotationSuspended: "on call"}
}

func over(key string, skew, domains int32, when v1alpha1.Unsatisfiable) func(*v1alpha1.Placement) {
	return func(p *v1alpha1.Placement) {
		p.SpreadConstraints = append(p.SpreadConstraints, v1alpha1.SpreadConstraint{TopologyKey: key, MaxSkew: skew, MinDomains: domains, WhenUnsatisfiable: when})
	}
}

func TestAPlacementPicksAsItSays(t *testing.T) {
	const no, yes = v1alpha1.DoNotPlace, v1alpha1.ScheduleAnyway
	tolerates := func(tol v1alpha1.Toleration) func(*v1alpha1.Placement) {
		return func(p *v1alpha1.Placement) { p.Tolerations = append(p.Tolerations, tol) }
	}
	towns := []v1alpha1.Cluster{town("ams", "eu"), town("fra", "eu"), town("par", "eu"), town("iad", "us"), town("sin", "ap")}
	for name, c := range map[string]struct {
		placement   v1alpha1.Placement
		clusters    []v1alpha1.Cluster
		metrics     map[string]v1alpha1.ClusterMetricsStatus
		has         []string
		want        string
		unsatisfied string
	}{
		"a taint keeps what is new away": {
			placement: anywhere(), clusters: []v1alpha1.Cluster{town("fra", "eu", tainted("gpu", "a", v1alpha1.TaintNoSchedule)), town("iad", "us")}, want: "iad"},
		"a taint keeps a named cluster away, too": {
			placement: v1alpha1.Placement{Clusters: []string{"fra"}}, clusters: []v1alpha1.Cluster{town("fra", "eu", tainted("gpu", "a", v1alpha1.TaintNoSchedule))}},
		"NoSchedule leaves what is there": {
			placement: anywhere(), clusters: []v1alpha1.Cluster{town("fra", "eu", tainted("gpu", "a", v1alpha1.TaintNoSchedule))}, has: []string{"fra"}, want: "fra"},
		"NoExecute drives out what is there": {
			placement: anywhere(), clusters: []v1alpha1.Cluster{town("fra", "eu", tainted("gpu", "a", v1alpha1.TaintNoExecute))}, has: []string{"fra"}},
		"a toleration of the value lets in": {
			placement: anywhere(tolerates(v1alpha1.Toleration{Key: "gpu", Operator: v1alpha1.TolerationEqual, Value: "a"})),
			clusters:  []v1alpha1.Cluster{town("fra", "eu", tainted("gpu", "a", v1alpha1.TaintNoExecute)), town("iad", "us", tainted("gpu", "b", v1alpha1.TaintNoExecute))}, want: "fra"},
		"a toleration of any value lets in": {
			placement: anywhere(tolerates(v1alpha1.Toleration{Key: "gpu", Operator: v1alpha1.TolerationExists})),
			clusters:  []v1alpha1.Cluster{town("fra", "eu", tainted("gpu", "a", v1alpha1.TaintNoExecute)), town("iad", "us", tainted("other", "", v1alpha1.TaintNoExecute))}, want: "fra"},
		"a toleration of one effect is of that only": {
			placement: anywhere(tolerates(v1alpha1.Toleration{Operator: v1alpha1.TolerationExists, Effect: v1alpha1.TaintNoSchedule})),
			clusters:  []v1alpha1.Cluster{town("fra", "eu", tainted("a", "", v1alpha1.TaintNoSchedule)), town("iad", "us", tainted("a", "", v1alpha1.TaintNoExecute))}, want: "fra"},
		"a cordoned cluster keeps what it has": {
			placement: anywhere(), clusters: []v1alpha1.Cluster{town("fra", "eu", available(v1alpha1.AvailabilityCordoned)), town("iad", "us", available(v1alpha1.AvailabilityCordoned))}, has: []string{"fra"}, want: "fra"},
		"a drained cluster keeps nothing": {
			placement: anywhere(), clusters: []v1alpha1.Cluster{town("fra", "eu", available(v1alpha1.AvailabilityDrained)), town("iad", "us")}, has: []string{"fra", "iad"}, want: "iad"},
		"an expression over labels picks": {
			placement: v1alpha1.Placement{Expression: `cluster.labels["tier"] == "prod"`}, clusters: []v1alpha1.Cluster{town("fra", "eu", labelled("tier", "prod")), town("iad", "us")}, want: "fra"},
		"an expression and a selector both have their say": {
			placement: v1alpha1.Placement{ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelRegion: "eu"}}, Expression: `cluster.name < "g"`}, clusters: towns, want: "ams,fra"},
		"an expression over facts lets in": {
			placement: v1alpha1.Placement{Expression: `cluster.facts.cpuFree > 4.0`}, clusters: towns, metrics: map[string]v1alpha1.ClusterMetricsStatus{"ams": free(3), "iad": free(7)}, want: "iad"},
		"an expression over facts drives none out": {
			placement: v1alpha1.Placement{Expression: `cluster.facts.cpuFree > 4.0`}, clusters: towns, metrics: map[string]v1alpha1.ClusterMetricsStatus{"ams": free(3), "iad": free(7)}, has: []string{"ams"}, want: "ams,iad"},
		"an expression over labels does": {
			placement: v1alpha1.Placement{Expression: `cluster.labels["tier"] == "prod"`}, clusters: []v1alpha1.Cluster{town("ams", "eu", labelled("tier", "edge"))}, has: []string{"ams"}},
		"an expression over a label with facts in its name does": {
			placement: v1alpha1.Placement{Expression: `cluster.labels["artifacts"] == "yes"`}, clusters: []v1alpha1.Cluster{town("ams", "eu", labelled("artifacts", "no"))}, has: []string{"ams"}},
		"an expression that fails drives none out": {
			placement: v1alpha1.Placement{Expression: `cluster.labels["tier"] == "prod"`}, clusters: towns, has: []string{"ams"}, want: "ams"},
		"an expression that fails of one cluster is of the others": {
			placement: v1alpha1.Placement{Expression: `cluster.labels["topology.kubernetes.io/region"] == "us"`}, clusters: []v1alpha1.Cluster{{}, town("iad", "us")}, want: "iad"},
		"two of five are the first by name, when nothing else tells": {
			placement: anywhere(number(2)), clusters: towns, want: "ams,fra"},
		"what was picked stays picked": {
			placement: anywhere(number(2)), clusters: towns, has: []string{"sin", "iad"}, want: "iad,sin"},
		"one that left is replaced, the other stays": {
			placement: anywhere(number(2)), clusters: towns, has: []string{"sin", "gone"}, want: "ams,sin"},
		"a suspended cluster is no replacement": {
			placement: anywhere(number(1)), clusters: []v1alpha1.Cluster{town("ams", "eu", suspended), town("fra", "eu")}, has: []string{"gone"}, want: "fra"},
		"a suspended cluster keeps what it has": {
			placement: anywhere(number(1)), clusters: []v1alpha1.Cluster{town("ams", "eu"), town("fra", "eu", suspended)}, has: []string{"fra"}, want: "fra"},
		"a suspended cluster is meant where all are": {
			placement: anywhere(), clusters: []v1alpha1.Cluster{town("ams", "eu", suspended), town("fra", "eu")}, want: "ams,fra"},
		"named clusters come first": {
			placement: anywhere(number(2), func(p *v1alpha1.Placement) { p.Clusters = []string{"sin"} }), clusters: towns, want: "ams,sin"},
		"the cheaper comes first": {
			placement: anywhere(number(1)), clusters: []v1alpha1.Cluster{town("ams", "eu", labelled(v1alpha1.LabelCost, "10")), town("fra", "eu", labelled(v1alpha1.LabelCost, "2.5"))}, want: "fra"},
		"more room comes first": {
			placement: anywhere(number(1)), clusters: towns, metrics: map[string]v1alpha1.ClusterMetricsStatus{"ams": free(3), "iad": free(7)}, want: "iad"},
		"a full cluster comes last, however cheap": {
			placement: anywhere(number(1)), clusters: []v1alpha1.Cluster{town("ams", "eu"), town("fra", "eu", labelled(v1alpha1.LabelCost, "9"))},
			metrics: map[string]v1alpha1.ClusterMetricsStatus{"ams": free(0), "fra": free(2)}, want: "fra"},
		"where there is none, that is said": {
			placement: anywhere(number(1)), unsatisfied: "1 cluster is wanted, and none can be picked"},
		"too few are said": {
			placement: anywhere(number(7)), clusters: towns, want: "ams,fra,iad,par,sin", unsatisfied: "7 clusters are wanted, and only 5 can be picked"},
		"three spread over three regions": {
			placement: anywhere(number(3), over(v1alpha1.LabelRegion, 1, 0, no)), clusters: towns, want: "ams,iad,sin"},
		"all, but no region may have two more than another": {
			placement: anywhere(over(v1alpha1.LabelRegion, 1, 0, no)), clusters: towns, want: "ams,fra,iad,sin"},
		"all, evenly where possible": {
			placement: anywhere(over(v1alpha1.LabelRegion, 1, 0, yes)), clusters: towns, want: "ams,fra,iad,par,sin", unsatisfied: "2 clusters uneven"},
		"so many regions at least": {
			placement: anywhere(number(3), over(v1alpha1.LabelRegion, 3, 2, no)), clusters: towns, want: "ams,fra,iad"},
		"fewer regions than wanted": {
			placement: anywhere(number(4), over(v1alpha1.LabelRegion, 3, 4, no)), clusters: towns, unsatisfied: "3 values to pick from, and 4 are wanted"},
		"a cluster without the label is none to spread over": {
			placement: anywhere(over("rack", 1, 0, no)), clusters: []v1alpha1.Cluster{town("ams", "eu", labelled("rack", "1")), town("fra", "eu")}, want: "ams"},
		"nobody has the label": {
			placement: anywhere(over("rack", 1, 3, no)), clusters: towns, unsatisfied: "no cluster that may be picked has the label rack, which the clusters are spread over"},
		"nobody has the label, which need not be": {
			placement: anywhere(number(1), over("rack", 1, 0, yes)), clusters: towns, want: "ams", unsatisfied: "no cluster that may be picked has the label rack"},
		"what is placed stays, however uneven": {
			placement: anywhere(number(3), over(v1alpha1.LabelRegion, 1, 0, no)), clusters: towns, has: []string{"ams", "fra", "par"}, want: "ams,fra,par", unsatisfied: "3 clusters uneven"},
		"fewer are wanted: the fullest region gives up": {
			placement: anywhere(number(3), over(v1alpha1.LabelRegion, 1, 0, no)), clusters: towns, has: []string{"ams", "fra", "par", "iad", "sin"}, want: "ams,iad,sin"},
	} {
		t.Run(name, func(t *testing.T) {
			g := plan.Ground{Clusters: c.clusters, Metrics: c.metrics, Has: set(c.has)}
			got, err := plan.Place(c.placement, g)
			if err != nil {
				t.Fatal(err)
			}
			if s := strings.Join(got.Picked, ","); s != c.want {
				t.Errorf("picked %q, want %q\n%s", s, c.want, told(got))
			}
			if s := strings.Join(got.Unsatisfied, "; "); c.unsatisfied == "" && len(c.placement.SpreadConstraints) == 0 && s != "" || !strings.Contains(s, c.unsatisfied) {
				t.Errorf("unsatisfied %q, want %q", s, c.unsatisfied)
			}
		})
	}
}

func set(names []string) map[string]bool {
	all := map[string]bool{}
	for _, n := range names {
		all[n] = true
	}
	return all
}

func told(d plan.Decision) string {
	var lines []string
	for _, v := range d.Verdicts {
		lines = append(lines, fmt.Sprintf("%s %v: %s", v.Cluster, v.Picked, v.Why))
	}
	return strings.Join(lines, "\n")
}

func TestAPlacementSaysWhy(t *testing.T) {
	clusters := []v1alpha1.Cluster{
		town("ams", "eu", labelled("tier", "prod")), town("fra", "eu", labelled("tier", "prod")), town("par", "eu", labelled("tier", "prod")),
		town("iad", "us", labelled("tier", "prod"), labelled(v1alpha1.LabelCost, "3")), town("pdx", "us", labelled("tier", "prod"), tainted("gpu", "a", v1alpha1.TaintNoSchedule)),
		town("sin", "ap", labelled("tier", "edge")), town("syd", "ap"),
		town("dub", "eu", labelled("tier", "prod"), available(v1alpha1.AvailabilityCordoned)),
	}
	p := v1alpha1.Placement{ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}}
	over(v1alpha1.LabelRegion, 1, 0, v1alpha1.DoNotPlace)(&p)
	number(4)(&p)
	got, err := plan.Place(p, plan.Ground{Clusters: clusters, Has: set([]string{"fra"}), Metrics: map[string]v1alpha1.ClusterMetricsStatus{"iad": free(4)}})
	if err != nil {
		t.Fatal(err)
	}
	want := `ams true: its labels match tier=prod
dub false: it is cordoned: nothing new comes to it
fra true: its labels match tier=prod; it was chosen before
iad true: its labels match tier=prod; cost 3; 40 % is free
par false: topology.kubernetes.io/region=eu would have 3 clusters, and us has 1: maxSkew is 1
pdx false: its taint gpu=a:NoSchedule is not tolerated
sin false: the placement wants tier=prod, and it has tier=edge
syd false: the placement wants tier=prod, and it has no label tier`
	if diff := cmp.Diff(want, told(got)); diff != "" {
		t.Error(diff)
	}
}

// ground draws a fleet with taints, cordons, costs, rooms and clusters that have the bundle.
func ground(t *rapid.T) plan.Ground {
	g := plan.Ground{Metrics: map[string]v1alpha1.ClusterMetricsStatus{}, Has: map[string]bool{}}
	for i := range rapid.IntRange(0, 12).Draw(t, "clusters") {
		c := town(fmt.Sprintf("c%02d", i), fmt.Sprint("r", rapid.IntRange(0, 3).Draw(t, "region")))
		if rapid.IntRange(0, 4).Draw(t, "taint") == 0 {
			tainted("gpu", "", rapid.SampledFrom([]v1alpha1.TaintEffect{v1alpha1.TaintNoSchedule, v1alpha1.TaintNoExecute}).Draw(t, "effect"))(&c)
		}
		c.Spec.Availability = rapid.SampledFrom([]v1alpha1.Availability{"", "", "", v1alpha1.AvailabilityCordoned, v1alpha1.AvailabilityDrained}).Draw(t, "availability")
		c.Labels[v1alpha1.LabelCost] = fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "cost"))
		if rapid.Bool().Draw(t, "told") {
			g.Metrics[c.Name] = free(rapid.Int64Range(0, 10).Draw(t, "free"))
		}
		g.Has[c.Name] = rapid.IntRange(0, 2).Draw(t, "has") == 0
		g.Clusters = append(g.Clusters, c)
	}
	return g
}

func placement(t *rapid.T) v1alpha1.Placement {
	p := anywhere()
	if rapid.Bool().Draw(t, "counted") {
		number(rapid.Int32Range(1, 8).Draw(t, "number"))(&p)
	}
	if rapid.Bool().Draw(t, "spread") {
		over(v1alpha1.LabelRegion, rapid.Int32Range(1, 3).Draw(t, "skew"), 0, v1alpha1.DoNotPlace)(&p)
	}
	return p
}

func mustPlace(t *rapid.T, p v1alpha1.Placement, g plan.Ground) plan.Decision {
	d, err := plan.Place(p, g)
	if picked, err := plan.Picks(p, g); err != nil || !slices.Equal(picked, d.Picked) {
		t.Fatalf("without reasons %v are picked (%v), with them %v", picked, err, d.Picked)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestNothingNewComesToATaintedOrCordonedCluster(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, g := placement(t), ground(t)
		d := mustPlace(t, p, g)
		for _, c := range g.Clusters {
			if !slices.Contains(d.Picked, c.Name) {
				continue
			}
			if c.Spec.Availability == v1alpha1.AvailabilityDrained || len(c.Spec.Taints) > 0 && c.Spec.Taints[0].Effect == v1alpha1.TaintNoExecute {
				t.Fatalf("%s is to be left", c.Name)
			}
			if !g.Has[c.Name] && (c.Spec.Availability == v1alpha1.AvailabilityCordoned || len(c.Spec.Taints) > 0) {
				t.Fatalf("%s takes nothing new", c.Name)
			}
		}
	})
}

func TestAPlacementDoesNotDependOnTheOrderOfTheFleet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, g := placement(t), ground(t)
		first := mustPlace(t, p, g)
		g.Clusters = rapid.Permutation(g.Clusters).Draw(t, "order")
		if diff := cmp.Diff(first, mustPlace(t, p, g)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// has is the ground once a decision was carried out.
func carriedOut(g plan.Ground, d plan.Decision) plan.Ground {
	g.Has = set(d.Picked)
	return g
}

func TestAnUnrelatedChangeMovesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, g := placement(t), ground(t)
		d := mustPlace(t, p, g)
		g = carriedOut(g, d)
		if again := mustPlace(t, p, g); !slices.Equal(again.Picked, d.Picked) && len(p.SpreadConstraints) == 0 {
			t.Fatalf("carried out, %v became %v", d.Picked, again.Picked)
		}
		g.Clusters = append(slices.Clone(g.Clusters), town("aaa", "r9"))
		g.Metrics = maps.Clone(g.Metrics)
		for _, c := range g.Clusters {
			g.Metrics[c.Name] = free(rapid.Int64Range(0, 10).Draw(t, "other room"))
		}
		later := mustPlace(t, p, g)
		for _, c := range d.Picked {
			if !slices.Contains(later.Picked, c) {
				t.Fatalf("%s was picked, and lost it to a change elsewhere", c)
			}
		}
		if p.NumberOfClusters != nil && len(d.Picked) == int(*p.NumberOfClusters) && len(later.Picked) != len(d.Picked) {
			t.Fatalf("%v became %v", d.Picked, later.Picked)
		}
	})
}

func TestASpreadHoldsAndAsManyArePickedAsItAllows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, g := placement(t), ground(t)
		g.Has = nil
		if len(p.SpreadConstraints) == 0 {
			over(v1alpha1.LabelRegion, 1, 0, v1alpha1.DoNotPlace)(&p)
		}
		skew := int(p.SpreadConstraints[0].MaxSkew)
		// A region may have as many as the smallest has, and the skew.
		room := map[string]int{}
		for _, c := range g.Clusters {
			if c.Spec.Availability == "" && len(c.Spec.Taints) == 0 {
				room[c.Spec.Region]++
			}
		}
		can := 0
		for _, n := range room {
			can += min(n, slices.Min(slices.Collect(maps.Values(room)))+skew)
		}
		if p.NumberOfClusters != nil {
			can = min(can, int(*p.NumberOfClusters))
		}
		d := mustPlace(t, p, g)
		if len(d.Picked) != can {
			t.Fatalf("picked %v, and %d can be\n%s", d.Picked, can, told(d))
		}
		in := map[string]int{}
		for region := range room {
			in[region] = 0
		}
		for _, c := range g.Clusters {
			if slices.Contains(d.Picked, c.Name) {
				in[c.Spec.Region]++
			}
		}
		if counts := slices.Collect(maps.Values(in)); len(counts) > 0 && slices.Max(counts)-slices.Min(counts) > skew {
			t.Fatalf("%v differ by more than %d", in, skew)
		}
	})
}
