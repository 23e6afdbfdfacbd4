package testbed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Member is the program of a cluster that is its member of the fleet, as Cluster.Kill names it.
const Member = "hanse"

// A data directory with this file in it holds a member.
const fileEnrolled = "member.json"

// DataDir is the data directory of the cluster's member.
func (c *Cluster) DataDir() string { return c.path("hanse") }

// Socket is where the cluster's member serves the fleet's API.
func (c *Cluster) Socket() string { return filepath.Join(c.DataDir(), "hanse.sock") }

// HanseServer is the value of HANSE_SERVER that means this cluster's member.
func (c *Cluster) HanseServer() string { return "unix://" + c.Socket() }

// maxSocket is what the kernel takes for the path of a Unix socket.
const maxSocket = 107

func (c *Cluster) checkSocket() error {
	if n := len(c.Socket()); n > maxSocket {
		return fmt.Errorf("path of the socket %s has %d characters, more than %d; use a shorter folder with --dir", c.Socket(), n, maxSocket)
	}
	return nil
}

// enrolled is true once the data directory holds a member.
func (c *Cluster) enrolled() bool {
	_, err := os.Stat(filepath.Join(c.DataDir(), fileEnrolled))
	return err == nil
}

// member is the program that runs the cluster's member.
func (c *Cluster) member(hanse string) program {
	return program{name: Member, path: hanse, tcp: []int{portMemberAPI}, udp: []int{portMember}, args: []string{
		"agent", "--data-dir", c.DataDir(), "--kubeconfig", c.Kubeconfig(),
	}}
}

// AddressFlags are those of init, join and restore that make this cluster's member: where its data lies, and where it listens.
func (c *Cluster) AddressFlags() []string {
	return []string{
		"--data-dir", c.DataDir(),
		"--listen", c.site.hostport(portMember),
		"--api-listen", c.site.hostport(portMemberAPI),
	}
}

// found makes a fleet whose first member is this cluster's.
func (c *Cluster) found(ctx context.Context, hanse, fleet string) error {
	// Most that is tried in a testbed is not how changes go: they go everywhere at once.
	args := []string{"init", "--soak", "0s", "--max-domains", "100", "--no-recovery", "--fleet", fleet, "--cluster", c.Name(), "--region", c.site.Region}
	_, err := runHanse(ctx, hanse, "", append(args, c.AddressFlags()...)...)
	return err
}

// join enrols this cluster with a token of one that is enrolled. The token is kept until it is spent: should we die
// in between, the same token gets the same answer.
func (c *Cluster) join(ctx context.Context, hanse string, through *Cluster) error {
	token := c.path("token")
	if _, err := os.Stat(token); err != nil {
		text, err := runHanse(ctx, hanse, through.HanseServer(), "token", "create")
		if err != nil {
			return err
		}
		if err := writeFile(token, []byte(text)); err != nil {
			return err
		}
	}
	args := []string{"join", "--cluster", c.Name(), "--region", c.site.Region, "--token-file", token}
	if _, err := runHanse(ctx, hanse, "", append(args, c.AddressFlags()...)...); err != nil {
		return err
	}
	return os.Remove(token)
}

// startMember starts the cluster's member and waits until it answers.
func (c *Cluster) startMember(ctx context.Context, hanse string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("no answer within 2 minutes"))
	defer cancel()
	if err := c.ensure(c.member(hanse)); err != nil {
		return err
	}
	return c.await(ctx, "member", func(ctx context.Context) (bool, error) {
		_, err := c.FleetStatus(ctx)
		return err == nil, nil
	})
}

// FleetStatus asks the cluster's member how the fleet is.
func (c *Cluster) FleetStatus(ctx context.Context) (v1alpha1.FleetStatus, error) {
	var status v1alpha1.FleetStatus
	err := c.get(ctx, "/hanse/v1/status", &status)
	return status, err
}

// get reads JSON from the member's socket.
func (c *Cluster) get(ctx context.Context, path string, into any) error {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", c.Socket())
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Name()+path, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask member %s: %w", c.Name(), err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("ask member %s: %s", c.Name(), answer.Status)
	}
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		return fmt.Errorf("ask member %s: %w", c.Name(), err)
	}
	return nil
}

// runHanse runs a command as a person would, and returns what it printed.
func runHanse(ctx context.Context, hanse, server string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, hanse, args...)
	cmd.Env = cleanEnv(os.Environ())
	if server != "" {
		cmd.Env = append(cmd.Env, "HANSE_SERVER="+server)
	}
	var out, talk strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("hanse %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(talk.String()))
	}
	return out.String(), nil
}
