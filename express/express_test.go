package express_test

import (
	"strings"
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
