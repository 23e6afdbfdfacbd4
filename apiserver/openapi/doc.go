// Package openapi holds the generated OpenAPI definitions of the kinds, which `kubectl explain` and server-side
// apply read. The comments of package v1alpha1 are its texts; `make generate` writes it.
package openapi

//go:generate go tool -modfile=../../tools/go.mod openapi-gen --output-dir . --output-pkg github.com/hanse-fleet/hanse/apiserver/openapi --output-file zz_generated.openapi.go --output-model-name-file zz_generated.model_name.go --readonly-pkg k8s.io/apimachinery/pkg/apis/meta/v1 --readonly-pkg k8s.io/apimachinery/pkg/api/resource --readonly-pkg k8s.io/apimachinery/pkg/runtime --readonly-pkg k8s.io/apimachinery/pkg/version --readonly-pkg k8s.io/apimachinery/pkg/types --readonly-pkg time --report-filename /dev/null k8s.io/apimachinery/pkg/api/resource k8s.io/apimachinery/pkg/apis/meta/v1 k8s.io/apimachinery/pkg/runtime k8s.io/apimachinery/pkg/version github.com/hanse-fleet/hanse/api/v1alpha1
