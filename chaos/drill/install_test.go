package drill

import (
	"bytes"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestTheLargeInstall(t *testing.T) {
	manifests, objects, err := Install(LargeInstall, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("is as large as it says", func(t *testing.T) {
		if size := len(manifests); size <= 8<<20 || size > 9<<20 {
			t.Errorf("%d bytes, not just over 8 MiB", size)
		}
		if objects < 350 || objects > 450 {
			t.Errorf("%d objects, not about 400", objects)
		}
	})
	t.Run("has no object that etcd would refuse", func(t *testing.T) {
		for document := range bytes.SplitSeq(manifests, []byte("---\n")) {
			if object, err := yaml.YAMLToJSON(document); err != nil || len(object) > 1<<20 {
				t.Errorf("an object of %d bytes, %v", len(object), err)
			}
		}
	})
}

func TestTheSameSeedGivesTheSameInstall(t *testing.T) {
	small := InstallSize{Definitions: 2, SchemaBytes: 8 << 10, Dashboards: 2, DashboardBytes: 1 << 10, Parts: 3}
	one, _, err := Install(small, 7)
	if err != nil {
		t.Fatal(err)
	}
	two, _, err := Install(small, 7)
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("another install, or %v", err)
	}
}
