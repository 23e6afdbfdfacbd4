package testbed

import (
	"fmt"
	"strings"
)

// Status is the answer to `testbed status -o json`.
type Status struct {
	Dir      string          `json:"dir"`
	Clusters []ClusterStatus `json:"clusters"`
}

// ClusterStatus is one cluster; Pids has a program only while it runs.
type ClusterStatus struct {
	Name       string         `json:"name"`
	Region     string         `json:"region"`
	Kubeconfig string         `json:"kubeconfig"`
	Server     string         `json:"server"`
	Pids       map[string]int `json:"pids"`
}

// Status looks at the processes.
func (t *Testbed) Status() Status {
	s := Status{Dir: t.dir, Clusters: []ClusterStatus{}}
	for _, c := range t.clusters {
		s.Clusters = append(s.Clusters, ClusterStatus{
			Name: c.Name(), Region: c.Region(), Kubeconfig: c.Kubeconfig(), Server: c.Server(), Pids: c.Pids(),
		})
	}
	return s
}

// Env is a line for a shell, after which kubectl and hanse mean this cluster and its member.
func (c *Cluster) Env() string {
	return fmt.Sprintf("export KUBECONFIG=%s HANSE_SERVER=%s\n", quote(c.Kubeconfig()), quote(c.HanseServer()))
}

// quote makes one word of s for a POSIX shell.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:@%+=,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
