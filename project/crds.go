package project

import (
	"context"
	"embed"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

//go:embed crds/*.yaml
var definitions embed.FS

var crds = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// definition is what defines a kind, in our words; objects that fit the standard's own definition fit it too.
func definition(s standard) (*unstructured.Unstructured, error) {
	text, err := definitions.ReadFile("crds/" + s.resource.Resource + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("read definition: %w", err)
	}
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(text, &u.Object); err != nil {
		return nil, fmt.Errorf("read definition of %s: %w", s.kind, err)
	}
	return u, nil
}

// installCRD makes a kind's definition when there is none. One that is there is whoever's made it.
func installCRD(ctx context.Context, client dynamic.Interface, s standard) error {
	u, err := definition(s)
	if err != nil {
		return err
	}
	_, err = client.Resource(crds).Create(ctx, u, metav1.CreateOptions{FieldManager: FieldManager})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create definition of %s: %w", s.kind, err)
	}
	return nil
}
