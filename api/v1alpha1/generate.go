package v1alpha1

//go:generate go tool -modfile=../../tools/go.mod deepcopy-gen --output-file zz_generated.deepcopy.go .
