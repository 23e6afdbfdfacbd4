package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// trio is three running processes of one store, and a client for each.
type trio struct {
	name   string
	nodes  []*node
	relays []interface{ Close() error }
}

func (t *trio) String() string { return t.name }

// node is one of the three. It can be killed and started again.
type node struct {
	name, api, log string
	command        []string
	process        *exec.Cmd
	client         *clientv3.Client
	debug          string
}

// readyIn bounds the wait for three processes to agree on a leader.
const readyIn = time.Minute

// start runs the node's process. It ends with ours, whatever happens to us.
func (n *node) start() error {
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	defer log.Close()
	n.process = exec.Command(n.command[0], n.command[1:]...)
	n.process.Stdout, n.process.Stderr = log, log
	n.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := n.process.Start(); err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	return nil
}

// kill ends the process as a power failure would.
func (n *node) kill() {
	if n.process != nil {
		_ = n.process.Process.Kill() // it may have ended by itself
		_ = n.process.Wait()
		n.process = nil
	}
}

// dial makes one more connection to the node.
func (n *node) dial() (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints: []string{n.api}, DialTimeout: 5 * time.Second, Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(quickly)},
	})
}

// open starts all three and waits until they work.
func (t *trio) open(ctx context.Context) error {
	for _, n := range t.nodes {
		if err := n.start(); err != nil {
			return err
		}
		var err error
		if n.client, err = n.dial(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	if err := t.settled(ctx); err != nil {
		return fmt.Errorf("%s does not work after %s: %w; the logs are in %s", t.name, readyIn, err, filepath.Dir(t.nodes[0].log))
	}
	return nil
}

// settled waits until all three vote, know the same leader and answer a linearizable read.
func (t *trio) settled(ctx context.Context) error {
	return until(ctx, func() error { return t.whole(ctx) })
}

// until repeats what may not work yet, as long as ctx lives, and returns why it did not.
func until(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil || rest(ctx, 50*time.Millisecond) != nil {
			return err
		}
	}
}

func (t *trio) whole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	leader := uint64(0)
	for _, n := range t.nodes {
		s, err := n.client.Status(ctx, n.api)
		switch {
		case err != nil:
			return err
		case s.Leader == 0 || s.IsLearner:
			return fmt.Errorf("%s has no leader or no vote", n.name)
		case leader != 0 && s.Leader != leader:
			return errors.New("two know different leaders")
		}
		leader = s.Leader
		if _, err := n.client.Get(ctx, "settled"); err != nil {
			return err
		}
	}
	return nil
}

// split finds the leader and the others.
func (t *trio) split(ctx context.Context) (leader *node, others []*node, err error) {
	if err := t.settled(ctx); err != nil {
		return nil, nil, err
	}
	for _, n := range t.nodes {
		s, err := n.client.Status(ctx, n.api)
		if err != nil {
			return nil, nil, err
		}
		if s.Leader == s.Header.MemberId {
			leader = n
		} else {
			others = append(others, n)
		}
	}
	if leader == nil {
		return nil, nil, fmt.Errorf("nobody leads %s", t.name)
	}
	return leader, others, nil
}

// at is the leader, or one of the others.
func (t *trio) at(ctx context.Context, place string) (*node, error) {
	leader, others, err := t.split(ctx)
	if err != nil {
		return nil, err
	}
	if place == leading {
		return leader, nil
	}
	return others[0], nil
}

// close kills all three.
func (t *trio) close() {
	for _, n := range t.nodes {
		if n.client != nil {
			n.client.Close()
		}
		n.kill()
	}
	for _, r := range t.relays {
		r.Close()
	}
}
