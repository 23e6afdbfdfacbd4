package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Daemon is a member without a cluster, at a loopback address of its own. It ends with this process, however that ends.
type Daemon struct {
	Cluster, Region string
	// Dir is its data directory, Log where its log goes.
	Dir, Log string
	// Identity is the file that opens the data directory; empty: it is in the clear.
	Identity string
	// Env is added to its environment.
	Env     []string
	hanse   string
	address netip.Addr
	running *exec.Cmd
}

// NewDaemon has a free address and a folder for its data; nothing is made or started yet.
func NewDaemon(hanse, dir, cluster, region string) (*Daemon, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return &Daemon{
		Cluster: cluster, Region: region, Dir: filepath.Join(dir, cluster), Log: filepath.Join(dir, cluster+".log"),
		hanse: hanse, address: address,
	}, nil
}

// The ports of a member, at its own address.
const (
	portMembers = 7946 // UDP
	portPeople  = 7947 // TCP
)

// freeAddress is one that no testbed chooses: theirs are below 127.251.
func freeAddress() (netip.Addr, error) {
	var err error
	for range 20 {
		a := netip.AddrFrom4([4]byte{127, 251, byte(rand.IntN(256)), byte(1 + rand.IntN(254))})
		var udp net.PacketConn
		if udp, err = net.ListenPacket("udp", netip.AddrPortFrom(a, portMembers).String()); err != nil {
			continue
		}
		udp.Close()
		return a, nil
	}
	return netip.Addr{}, fmt.Errorf("find a free loopback address: %w", err)
}

// Members is the UDP address for other members.
func (d *Daemon) Members() string { return netip.AddrPortFrom(d.address, portMembers).String() }

// People is the TCP address for people.
func (d *Daemon) People() string { return netip.AddrPortFrom(d.address, portPeople).String() }

// Addresses are the flags of init and join that say where it listens.
func (d *Daemon) Addresses() []string {
	return append(d.opens(), "--listen", d.Members(), "--api-listen", d.People())
}

// opens are the flags that open its data directory.
func (d *Daemon) opens() []string {
	flags := []string{"--data-dir", d.Dir}
	if d.Identity != "" {
		flags = append(flags, "--data-identity", d.Identity)
	}
	return flags
}

// Socket is where it answers whoever may open its data directory.
func (d *Daemon) Socket() string { return filepath.Join(d.Dir, "hanse.sock") }

// Person asks this daemon.
func (d *Daemon) Person() Person { return Person{Hanse: d.hanse, Server: "unix://" + d.Socket()} }

// Start starts it, and does not wait until it answers.
func (d *Daemon) Start(flags ...string) error {
	log, err := os.OpenFile(d.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", d.Cluster, err)
	}
	defer log.Close()
	args := append([]string{"agent", "--kubeconfig", "none"}, d.opens()...)
	cmd := exec.Command(d.hanse, append(args, flags...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(ownEnv(), d.Env...), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", d.Cluster, err)
	}
	d.running = cmd
	return nil
}

// Pid is that of its process, which must run.
func (d *Daemon) Pid() int { return d.running.Process.Pid }

// errEndedItself means that nobody killed a daemon, and that it runs no more.
var errEndedItself = errors.New("it ended by itself")

// Kill ends it as a power failure would, and returns when it is gone. One that had ended before is an error.
func (d *Daemon) Kill() error {
	if d.running == nil {
		return nil
	}
	killed := d.running.Process.Kill()
	_ = d.running.Wait() // its state says how it ended
	status, ok := d.running.ProcessState.Sys().(syscall.WaitStatus)
	d.running = nil
	if killed != nil || !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		return fmt.Errorf("kill %s: %w, %v", d.Cluster, errEndedItself, status)
	}
	return nil
}

// Stop asks it to end, as an upgrade does, and returns when it has.
func (d *Daemon) Stop(ctx context.Context) error {
	if err := d.running.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", d.Cluster, err)
	}
	switch code, err := d.Wait(ctx); {
	case err != nil:
		return fmt.Errorf("stop %s: %w", d.Cluster, err)
	case code != 0:
		return fmt.Errorf("stop %s: it ended with exit %d", d.Cluster, code)
	}
	return nil
}

// Wait waits until it has ended by itself, and returns its exit code.
func (d *Daemon) Wait(ctx context.Context) (int, error) {
	stop := context.AfterFunc(ctx, func() { _ = d.running.Process.Kill() }) // it may just have ended
	defer stop()
	_ = d.running.Wait() // its state says how it ended
	code := d.running.ProcessState.ExitCode()
	d.running = nil
	return code, context.Cause(ctx)
}

// statusPatience is how long one question waits for its answer. A daemon that starts answers those who wait at its socket as
// soon as it can: who hangs up and asks again later only hears of it later.
const statusPatience = 30 * time.Second

// Status asks it how the fleet is.
func (d *Daemon) Status(ctx context.Context) (status v1alpha1.FleetStatus, err error) {
	client := http.Client{Timeout: statusPatience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: d.dial}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://member.hanse"+v1alpha1.PathStatus, nil)
	if err != nil {
		return status, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return status, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return status, fmt.Errorf("%s answers %s", d.Cluster, answer.Status)
	}
	return status, json.NewDecoder(answer.Body).Decode(&status)
}

// REST is a client configuration for its socket.
func (d *Daemon) REST() *rest.Config { return restOf(d.Socket()) }

func (d *Daemon) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return dial(ctx, d.Socket())
}

// restOf is a client configuration for the fleet's API at a member's socket.
func restOf(socket string) *rest.Config {
	return &rest.Config{Host: "http://member.hanse", QPS: -1, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dial(ctx, socket)
	}}
}

func dial(ctx context.Context, socket string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", socket)
}
