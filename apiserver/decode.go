package apiserver

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/json"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// decode reads an object of the store. There is one version, whose types are also the internal ones, so nothing is to be
// converted; the codec would read the text twice more, to see what it is and whether it is JSON.
func (s *Server) decode(value []byte, into runtime.Object) error {
	if err := json.UnmarshalCaseSensitivePreserveInts(value, into); err != nil {
		return err
	}
	told := into.GetObjectKind().GroupVersionKind()
	want, _, err := s.scheme.ObjectKinds(into)
	if err != nil {
		return err
	}
	if told.Group != "" && told.Group != v1alpha1.GroupName || told.Kind != "" && told.Kind != want[0].Kind {
		return fmt.Errorf("a %s is in the place of a %s", told.Kind, want[0].Kind)
	}
	s.scheme.Default(into)
	return nil
}
