package drill

import (
	"bytes"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestTheLargeInstallIsAsLargeAsItSays(t *testing.T) {
	manifests, objects, err := Install(LargeInstall, 1)
	if err != nil {
		t.Fatal(err)
	}
	if size := len(manifests); size <= 8<<20 || size > 9<<20 {
		t.Errorf("%d bytes, not just over 8 MiB", size)
	}
	if objects < 350 || objects > 450 {
		t.Errorf("%d objects, not about 400", objects)
	}
	again, _, err := Install(LargeInstall, 1)
	if err != nil || !bytes.Equal(manifests, again) {
		t.Errorf("the same seed gives another install, or %v", err)
	}
}

func TestADefinitionOfTheLargeInstallFitsIntoEtcd(t *testing.T) {
	manifests, _, err := Install(LargeInstall, 1)
	if err != nil {
		t.Fatal(err)
	}
	for document := range bytes.SplitSeq(manifests, []byte("---\n")) {
		object, err := yaml.YAMLToJSON(document)
		if err != nil {
			t.Fatal(err)
		}
		if len(object) > 1<<20 {
			t.Errorf("an object of %d bytes", len(object))
		}
	}
}
