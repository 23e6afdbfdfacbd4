package express_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/express"
)

func subject() express.Subject {
	c := &v1alpha1.Cluster{Spec: v1alpha1.ClusterSpec{Region: "eu", Zone: "eu-1", Taints: []v1alpha1.Taint{{Key: "gpu", Effect: v1alpha1.TaintNoSchedule}}}}
	c.Name, c.Labels = "fra", map[string]string{"tier": "prod", "size": "3"}
	m := v1alpha1.ClusterMetricsStatus{Kubernetes: &v1alpha1.KubernetesReading{Version: "v1.34.1"}}
	m.Capacity = &v1alpha1.CapacityReading{ReadyNodes: 3, Allocatable: v1alpha1.Amount{CPU: resource.MustParse("12"), Memory: resource.MustParse("4Gi")}, Requested: v1alpha1.Amount{CPU: resource.MustParse("2500m")}}
	m.Storage = &v1alpha1.StorageReading{Classes: []v1alpha1.StorageClass{{Name: "fast"}}}
	return express.About(c, m)
}

func TestAnExpressionSeesACluster(t *testing.T) {
	for expression, want := range map[string]string{
		`cluster.name`:                           `"fra"`,
		`cluster.labels["tier"]`:                 `"prod"`,
		`cluster.labels.tier == "prod"`:          `true`,
		`cluster.region + "/" + cluster.zone`:    `"eu/eu-1"`,
		`int(cluster.labels["size"]) * 2`:        `6`,
		`cluster.facts.cpuFree > 9.0`:            `true`,
		`cluster.facts.nodes`:                    `3`,
		`"fast" in cluster.facts.storageClasses`: `true`,
		`cluster.taints.exists(t, t.key == "gpu" && t.effect == "NoSchedule")`: `true`,
		`cluster.name.upperAscii()`: `"FRA"`,
	} {
		got, err := express.JSON(expression, subject())
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v; want %s", expression, got, err, want)
		}
	}
}

func TestAnExpressionThatIsNoneSaysWhere(t *testing.T) {
	for expression, want := range map[string]string{
		`cluster.lables["tier"]`:   "undefined field 'lables', at character 8",
		`cluster.name ==`:          "Syntax error",
		`secrets.all`:              "undeclared reference to 'secrets'",
		strings.Repeat("1+", 2000): "longer than 2048 bytes",
		`cluster.name`:             "is to be true or false",
	} {
		if err := express.CheckCondition(expression); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %s", expression, err, want)
		}
	}
}

func TestAnExpressionFailsOfOneCluster(t *testing.T) {
	for expression, want := range map[string]string{
		`cluster.labels["absent"]`: "there is no absent",
		`int(cluster.name)`:        "type conversion error",
		`[0,1,2,3,4,5,6,7,8,9].map(a, [0,1,2,3,4,5,6,7,8,9].map(b, [0,1,2,3,4,5,6,7,8,9].map(c, [0,1,2,3,4,5,6,7,8,9].map(d, [0,1,2,3,4,5,6,7,8,9].map(e, a+b+c+d+e)))))`: "it costs more than 100000 units of CEL",
	} {
		if got, err := express.JSON(expression, subject()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %s, %v; want %s", expression, got, err, want)
		}
	}
}

func TestAnExpressionLooksAtFacts(t *testing.T) {
	for expression, want := range map[string]bool{
		`cluster.facts.cpuFree > 9.0`:                                 true,
		`cluster.labels.tier == "prod" && cluster.facts.nodes > 3`:    true,
		`.cluster.facts.nodes > 3`:                                    true,
		`has(cluster.facts.nodes)`:                                    true,
		`cluster.taints.exists(t, cluster.facts.nodes > 3)`:           true,
		`[cluster].exists(c, c.facts.nodes > 3)`:                      true,
		`dyn(cluster).facts.nodes > 3`:                                true,
		`{"a": cluster}["a"].facts.nodes > 3`:                         true,
		`(cluster.name == "fra" ? cluster : cluster).facts.nodes > 3`: true,
		`cluster.labels["tier"] == "prod"`:                            false,
		`cluster.labels["artifacts"] == "yes"`:                        false,
		`cluster.labels.artifacts == "yes"`:                           false,
		`cluster.labels.facts == "yes"`:                               false,
		`cluster.labels["facts"] == "yes"`:                            false,
		`has(cluster.labels.facts)`:                                   false,
		`cluster.name == "cluster.facts.nodes"`:                       false,
		`cluster.taints.exists(facts, facts.key == "facts")`:          false,
		`true // as long as no facts are known`:                       false,
		`cluster.facts.cpuFree >`:                                     false,
	} {
		if got := express.LooksAtFacts(expression); got != want {
			t.Errorf("%s: looks at facts: %t, want %t", expression, got, want)
		}
	}
}

// Whoever asks for many expressions, more than are kept, at once gets each right.
func TestManyExpressionsAtOnce(t *testing.T) {
	var asking sync.WaitGroup
	for asker := range 4 {
		asking.Go(func() {
			for i := range 1500 {
				n := (i + 300*asker) % 1500
				if got, err := express.JSON(fmt.Sprintf(`%d + size(cluster.name)`, n), subject()); err != nil || string(got) != fmt.Sprint(n+3) {
					t.Errorf("%d and 3: got %s, %v", n, got, err)
					return
				}
			}
		})
	}
	asking.Wait()
}

// A fleet's expressions are asked for again and again; new ones come and go beside them, more than are kept.
func BenchmarkExpressions(b *testing.B) {
	var last atomic.Int64
	of := subject()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			expression := fmt.Sprintf(`cluster.labels["tier"] == "prod" && size(cluster.name) + %d > 0`, i%500)
			if i%100 == 0 {
				expression = fmt.Sprintf(`size(cluster.name) + %d > 0`, 1000+last.Add(1))
			}
			if holds, err := express.Holds(expression, of); err != nil || !holds {
				b.Fatal(holds, err)
			}
		}
	})
}
