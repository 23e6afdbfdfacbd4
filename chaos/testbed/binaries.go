package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Kubectl is built with the control plane, so that what a person would type can be typed.
const Kubectl = "kubectl"

// KubernetesVersion is what build/kubernetes builds, EtcdVersion what build/etcd does.
const (
	KubernetesVersion = "1.37.2"
	EtcdVersion       = "3.7"
)

// assetsVariable names a folder with prebuilt binaries, as other tools of Kubernetes have it.
const assetsVariable = "KUBEBUILDER_ASSETS"

// Binaries is a folder with etcd, kube-apiserver, kube-controller-manager and kubectl.
type Binaries struct{ dir string }

// Dir is the folder, absolute.
func (b Binaries) Dir() string { return b.dir }

// Path of one binary.
func (b Binaries) Path(name string) string { return filepath.Join(b.dir, name) }

// complete fails when a binary lacks.
func (b Binaries) complete() error {
	var lacking []string
	for _, name := range []string{Etcd, APIServer, ControllerManager, Kubectl} {
		if info, err := os.Stat(b.Path(name)); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			lacking = append(lacking, name)
		}
	}
	if len(lacking) > 0 {
		return fmt.Errorf("no executable %s in %s", strings.Join(lacking, ", "), b.dir)
	}
	return nil
}

// ErrNotBuilt means that the binaries were never built on this machine.
var ErrNotBuilt = errors.New("etcd and kube-apiserver are not built yet; build them with: make build && bin/testbed build")

// FindBinaries is those of KUBEBUILDER_ASSETS, when that is set, or else those that were built before. It builds
// nothing: see BuildBinaries.
func FindBinaries() (Binaries, error) {
	if b, ok, err := assets(); ok {
		return b, err
	}
	m, err := findModules()
	if err != nil {
		return Binaries{}, err
	}
	dir, err := m.cache("")
	if err != nil {
		return Binaries{}, err
	}
	b := Binaries{dir: dir}
	if b.complete() != nil {
		return Binaries{}, ErrNotBuilt
	}
	return b, nil
}

// BuildBinaries is FindBinaries, but builds them when they are not there, which takes minutes. state is a folder to
// keep them in for a user who has no cache folder.
func BuildBinaries(ctx context.Context, state string, progress func(BuildProgress)) (Binaries, error) {
	if b, ok, err := assets(); ok {
		return b, err
	}
	m, err := findModules()
	if err != nil {
		return Binaries{}, err
	}
	dir, err := m.cache(state)
	if err != nil {
		return Binaries{}, err
	}
	b := Binaries{dir: dir}
	if b.complete() == nil {
		return b, nil
	}
	if err := m.build(ctx, dir, progress); err != nil {
		return Binaries{}, fmt.Errorf("build Kubernetes: %w", err)
	}
	return b, b.complete()
}

func assets() (b Binaries, ok bool, err error) {
	dir := os.Getenv(assetsVariable)
	if dir == "" {
		return Binaries{}, false, nil
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return Binaries{}, true, fmt.Errorf("%s: %w", assetsVariable, err)
	}
	b = Binaries{dir: dir}
	if err := b.complete(); err != nil {
		return Binaries{}, true, fmt.Errorf("%s: %w; unset it to have them built", assetsVariable, err)
	}
	return b, true, nil
}
