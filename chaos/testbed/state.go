package testbed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Files of a testbed's folder. Beside them lies one folder per cluster, with its name:
//
//	pki/        certificates
//	kubeconfig  for people; controllers.kubeconfig for kube-controller-manager
//	etcd/       etcd's data
//	hanse/      the member's data directory
//	run/        one process record per program
//	log/        one log per program
const (
	fileState  = "testbed.json"
	fileLock   = "lock"
	fileMerged = "kubeconfig" // with a context per cluster
)

// state is what a testbed remembers: what there is to be. What runs is in the clusters' process records.
type state struct {
	Fleet string `json:"fleet"`
	Base  int    `json:"base"`
	Sites []Site `json:"sites"`
	// Hanse is the binary, Binaries the folder of the others.
	Hanse    string `json:"hanse"`
	Binaries string `json:"binaries"`
	// Extras are deleted with the testbed.
	Extras []string `json:"extras,omitempty"`
}

// ErrNoTestbed means that the folder holds no testbed.
var ErrNoTestbed = errors.New("no testbed here; make one with: testbed up")

func readState(dir string) (state, error) {
	data, err := os.ReadFile(filepath.Join(dir, fileState))
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, fmt.Errorf("%s: %w", dir, ErrNoTestbed)
	}
	if err != nil {
		return state{}, fmt.Errorf("read testbed: %w", err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return state{}, fmt.Errorf("read testbed %q: %w", filepath.Join(dir, fileState), err)
	}
	return s, nil
}

func (s state) write(dir string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write testbed: %w", err)
	}
	return writeFile(filepath.Join(dir, fileState), append(data, '\n'))
}
