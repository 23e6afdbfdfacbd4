package bench

import (
	"context"
	"fmt"

	kube "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-fleet/hanse/chaos/drill"
)

// plane is a Kubernetes API that serves bundles: the leader of a fleet of three, or a kube-apiserver before three etcds, where
// the kind is a CustomResourceDefinition.
type plane struct {
	name   string
	config *kube.Config
	stop   []func()
	// resident are the processes that one cluster needs to answer: a member, or an API server and an etcd.
	resident []int
}

func (p *plane) String() string { return p.name }

func (p *plane) close() {
	for _, stop := range p.stop {
		stop()
	}
}

// fleetPlane is three real members, without clusters.
func fleetPlane(ctx context.Context, dir, hanse string) (*plane, error) {
	p := &plane{name: "ours"}
	var first *drill.Daemon
	for i := range 3 {
		name := fmt.Sprintf("m%d", i+1)
		d, err := drill.NewDaemon(hanse, dir, name, name)
		if err == nil {
			err = enrol(ctx, d, first)
		}
		if err == nil {
			err = d.Start()
		}
		if err != nil {
			return p, err
		}
		p.stop = append(p.stop, func() { _ = d.Kill() }) // it may have ended by itself
		if first == nil {
			first, p.resident = d, []int{d.Pid()}
		}
		if err := until(ctx, func() error { _, err := d.Status(ctx); return err }); err != nil {
			return p, err
		}
	}
	kubeconfig, err := typed(ctx, first.Person(), "", "kubeconfig")
	if err != nil {
		return p, err
	}
	if p.config, err = clientcmd.RESTConfigFromKubeConfig([]byte(kubeconfig)); err != nil {
		return p, fmt.Errorf("read kubeconfig: %w", err)
	}
	return p, until(ctx, func() error { return threeVote(ctx, first) })
}

// enrol founds the fleet with a daemon, or lets it join through the first.
func enrol(ctx context.Context, d, first *drill.Daemon) error {
	where := append(d.Addresses(), "--cluster", d.Cluster, "--region", d.Region)
	own := drill.Person{Hanse: d.Person().Hanse}
	if first == nil {
		_, err := typed(ctx, own, "", append([]string{"init", "--soak", "0s", "--max-domains", "100", "--no-recovery", "--fleet", "bench"}, where...)...)
		return err
	}
	token, err := typed(ctx, first.Person(), "", "token", "create")
	if err == nil {
		_, err = typed(ctx, own, token, append([]string{"join"}, where...)...)
	}
	return err
}

// typed is what a command prints, which must succeed.
func typed(ctx context.Context, who drill.Person, in string, args ...string) (string, error) {
	said, err := who.Type(ctx, []byte(in), args...)
	if err == nil && said.Code != 0 {
		err = fmt.Errorf("hanse %s: %s", args[0], said)
	}
	return said.Out, err
}

// threeVote fails unless all three vote, and the first, which the rows ask, leads.
func threeVote(ctx context.Context, first *drill.Daemon) error {
	s, err := first.Status(ctx)
	if err == nil && (s.Quorum.Voters != 3 || s.Quorum.Reached != 3 || s.Leader != first.Cluster) {
		err = fmt.Errorf("%d of %d vote, %q leads", s.Quorum.Reached, s.Quorum.Voters, s.Leader)
	}
	return err
}
