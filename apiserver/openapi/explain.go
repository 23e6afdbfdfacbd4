package openapi

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// anyObject is what `kubectl explain` says of a manifest. The machinery's own text speaks to programmers in Go.
const anyObject = "A Kubernetes object of any kind, whole: apiVersion, kind, metadata with a name, and what the kind asks for."

// Definitions are the generated ones, with a text for each field. A field that says nothing of itself, such as spec,
// says what its type says.
func Definitions(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
	models := map[string]string{} // by the reference to them
	all := GetOpenAPIDefinitions(func(model string) spec.Ref {
		r := ref(model)
		models[r.String()] = model
		return r
	})
	raw := runtime.RawExtension{}.OpenAPIModelName()
	manifest := all[raw]
	manifest.Schema.Description = anyObject
	all[raw] = manifest
	for _, d := range all {
		for name, field := range d.Schema.Properties {
			if field.Description == "" {
				field.Description = all[models[field.Ref.String()]].Schema.Description
				d.Schema.Properties[name] = field
			}
		}
	}
	return all
}
