package render

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// MaxBytes is how many bytes of JSON the objects of one rendered bundle may be.
const MaxBytes = v1alpha1.MaxManifestBytes + v1alpha1.MaxOverrideBytes

var (
	pathOverrides = field.NewPath("spec", "overrides")
	pathDivision  = field.NewPath("spec", "division")
	pathManifests = field.NewPath("spec", "manifests")
)

// Render gives the objects that a revision's content is in a cluster. frozen is what its grant keeps of the cluster; nil for
// content without overrides. An error names the field of the bundle that cannot be applied; then there are no objects at all.
func Render(c v1alpha1.BundleContent, frozen *v1alpha1.Frozen) ([]unstructured.Unstructured, error) {
	s, err := sceneOf(c)
	if err != nil {
		return nil, err
	}
	if frozen == nil {
		if len(c.Overrides)+len(c.Division) > 0 {
			return nil, fmt.Errorf("%s: nothing of the cluster was frozen with the grant", pathOverrides)
		}
		return s.objects, s.ignore(c.Ignore)
	}
	if len(frozen.Divided) != len(c.Division) {
		return nil, fmt.Errorf("%s: the grant has %d parts, and %d are wanted", pathDivision, len(frozen.Divided), len(c.Division))
	}
	s.values = frozen.Values
	for _, i := range frozen.Overrides {
		if int(i) >= len(c.Overrides) || i < 0 {
			return nil, fmt.Errorf("%s: the grant speaks of it, and it is not there", pathOverrides.Index(int(i)))
		}
		if err := s.override(pathOverrides.Index(int(i)), c.Overrides[i]); err != nil {
			return nil, err
		}
	}
	if err := s.divideAll(c.Division, wholesOf(c), frozen.Divided); err != nil {
		return nil, err
	}
	return s.objects, s.ignore(c.Ignore)
}

// scene is the objects, on their way through the overrides.
type scene struct {
	objects []unstructured.Unstructured
	values  map[string]v1alpha1.FrozenValue
}

func sceneOf(c v1alpha1.BundleContent) (*scene, error) {
	s := &scene{}
	for i, m := range c.Manifests {
		var u unstructured.Unstructured
		if err := u.UnmarshalJSON(m.Raw); err != nil {
			return nil, fmt.Errorf("read %s: %w", pathManifests.Index(i), err)
		}
		s.objects = append(s.objects, u)
	}
	return s, nil
}

// override applies one: its patches, then its images, then its replicas.
func (s *scene) override(at *field.Path, o v1alpha1.Override) error {
	for i, p := range o.Patches {
		if err := s.patch(at.Child("patches").Index(i), p); err != nil {
			return err
		}
	}
	for i, image := range o.Images {
		if err := s.setImages(at.Child("images").Index(i), image); err != nil {
			return err
		}
	}
	for i, r := range o.Replicas {
		if err := s.setReplicas(at.Child("replicas").Index(i), r); err != nil {
			return err
		}
	}
	return nil
}

// each does something with every object that a target names. That it names none is a fault, unless that is allowed.
func (s *scene) each(at *field.Path, t v1alpha1.Target, optional bool, do func(*unstructured.Unstructured) error) error {
	found := false
	for i := range s.objects {
		if !names(t, &s.objects[i]) {
			continue
		}
		found = true
		if err := do(&s.objects[i]); err != nil {
			return err
		}
	}
	if !found && !optional {
		return field.Invalid(at.Child("target"), targetName(t), "the bundle has no such object; if that is meant: optional: true")
	}
	return nil
}

func names(t v1alpha1.Target, u *unstructured.Unstructured) bool {
	return t.Kind == u.GetKind() && (t.APIVersion == "" || t.APIVersion == u.GetAPIVersion()) &&
		(t.Namespace == "" || t.Namespace == u.GetNamespace()) && (t.Name == "" || t.Name == u.GetName())
}

func targetName(t v1alpha1.Target) string {
	name := t.Name
	if t.Namespace != "" {
		name = t.Namespace + "/" + name
	}
	return strings.TrimSpace(t.Kind + " " + name)
}
