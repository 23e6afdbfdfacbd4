package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	kube "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// plane is a Kubernetes API that serves bundles: a member of a fleet of three, or a kube-apiserver before three etcds, where
// the kind is a CustomResourceDefinition.
type plane struct {
	name string
	// config is how the one that leads is asked, and of a fleet also how one that does not is.
	config, elsewhere *kube.Config
	processes         []*node // what runs, in the order in which it started
	// resident are those that one cluster needs to answer: a member, or an API server with an etcd.
	resident []*node
}

func (p *plane) String() string { return p.name }

func (p *plane) close() {
	for _, n := range p.processes {
		n.kill()
	}
}

// fleetPlane is three real members, without clusters.
func fleetPlane(ctx context.Context, dir, hanse string) (*plane, error) {
	p := &plane{name: "ours"}
	var socket string
	for i := range 3 {
		name := fmt.Sprintf("m%d", i+1)
		data := filepath.Join(dir, name)
		where := []string{"--cluster", name, "--region", name, "--data-dir", data, "--listen", freeUDP(), "--api-listen", freeTCP()}
		enrol := append([]string{"init", "--fleet", "bench"}, where...)
		var token []byte
		if i > 0 {
			var err error
			if token, err = typed(ctx, hanse, socket, nil, "token", "create"); err != nil {
				return p, err
			}
			enrol = append([]string{"join"}, where...)
		}
		if _, err := typed(ctx, hanse, "", token, enrol...); err != nil {
			return p, err
		}
		n := &node{name: name, log: data + ".log", command: []string{hanse, "agent", "--data-dir", data, "--kubeconfig", "none"}}
		p.processes = append(p.processes, n)
		if err := n.start(); err != nil {
			return p, err
		}
		if i == 0 {
			socket = "unix://" + filepath.Join(data, "hanse.sock")
		}
		if err := until(ctx, func() error { _, err := typed(ctx, hanse, socket, nil, "status", "-o", "json"); return err }); err != nil {
			return p, err
		}
	}
	p.resident = p.processes[:1]
	text, err := typed(ctx, hanse, socket, nil, "kubeconfig")
	if err != nil {
		return p, err
	}
	if p.config, err = contextOf(text, "m1"); err != nil {
		return p, err
	}
	if p.elsewhere, err = contextOf(text, "m2"); err != nil {
		return p, err
	}
	return p, until(ctx, func() error { return threeVote(ctx, p.config) })
}

// threeVote waits for nothing: it says whether all three members vote, and the first, which the rows ask, leads.
func threeVote(ctx context.Context, config *kube.Config) error {
	client, err := kube.HTTPClientFor(config)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	var status v1alpha1.FleetStatus
	switch err := read(ctx, client, config.Host+v1alpha1.PathStatus, &status); {
	case err != nil:
		return err
	case status.Quorum.Voters != 3 || status.Quorum.Reached != 3 || status.Leader != "m1":
		return fmt.Errorf("%d of %d vote, %q leads", status.Quorum.Reached, status.Quorum.Voters, status.Leader)
	}
	return nil
}

// read gets JSON.
func read(ctx context.Context, client *http.Client, url string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

func contextOf(kubeconfig []byte, name string) (*kube.Config, error) {
	loaded, err := clientcmd.Load(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	return clientcmd.NewNonInteractiveClientConfig(*loaded, name, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
}

// typed runs a command of hanse.
func typed(ctx context.Context, hanse, server string, in []byte, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, hanse, args...)
	cmd.Env = []string{"HANSE_SERVER=" + server, "HOME=" + os.Getenv("HOME"), "PATH=" + os.Getenv("PATH")}
	if server == "" {
		cmd.Env = cmd.Env[1:]
	}
	var out, talk bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &talk
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("hanse %s: %w\n%s", strings.Join(args, " "), err, talk.String())
	}
	return out.Bytes(), nil
}

// until repeats what may not work yet.
func until(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		if rest(ctx, 100*time.Millisecond) != nil {
			return fmt.Errorf("after %s, not yet: %w", readyIn, err)
		}
	}
}
