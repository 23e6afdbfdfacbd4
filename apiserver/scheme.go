package apiserver

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// internal is the version that k8s.io/apiserver thinks in. There is one version so far, so its types stand in.
var internal = schema.GroupVersion{Group: v1alpha1.GroupName, Version: runtime.APIVersionInternal}

// servedScheme registers the kinds in the version that is served.
func servedScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	metav1.AddToGroupVersion(s, schema.GroupVersion{Version: "v1"})
	if err := v1alpha1.AddToScheme(s); err != nil {
		return nil, fmt.Errorf("register kinds: %w", err)
	}
	return s, nil
}

// fullScheme registers them also in the version that the machinery thinks in.
func fullScheme() (*runtime.Scheme, error) {
	s, err := servedScheme()
	if err != nil {
		return nil, err
	}
	for _, k := range served() {
		s.AddKnownTypeWithName(internal.WithKind(k.kind), k.new())
		s.AddKnownTypeWithName(internal.WithKind(k.kind+"List"), k.newList())
		if err := s.AddFieldLabelConversionFunc(v1alpha1.SchemeGroupVersion.WithKind(k.kind), k.fieldLabel); err != nil {
			return nil, fmt.Errorf("register kinds: %w", err)
		}
	}
	return s, nil
}
