package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/internal/peeked"
)

func kubectlVerb() *cli.Command {
	return &cli.Command{
		Name:  "kubectl",
		Usage: "run kubectl in any cluster, through the members",
		UsageText: `hanse kubectl --cluster NAME -- get pods -A
hanse kubectl --cluster NAME -- exec -it web-0 -- sh

It runs the kubectl of $KUBECTL, or of the PATH. No kubeconfig of that cluster is needed: the cluster knows you as
hanse:USER, and its own RBAC says what you may.`,
		Flags: append(connectionFlags(defaultTimeout),
			&cli.StringFlag{Name: "cluster", Usage: "the cluster's NAME"},
		),
		Action: kubectlAction,
	}
}

func kubectlAction(c *cli.Context) error {
	const doing = "kubectl"
	if c.NArg() == 0 {
		return during(doing, usage("what is kubectl to do?", hint{"for example", "kubectl --cluster fra -- get pods"}))
	}
	cluster := c.String("cluster")
	if cluster == "" {
		return during(doing, usage("in which cluster?", hint{"for example", "kubectl --cluster fra -- " + strings.Join(c.Args().Slice(), " ")}))
	}
	kubectl, err := findKubectl()
	if err != nil {
		return during(doing, err)
	}
	ctx, cancel := withTimeout(c)
	r, err := reachClusters(ctx, c)
	cancel()
	if err == nil {
		_, err = r.clusters([]string{cluster})
	}
	if err != nil {
		return during(doing, err)
	}
	err = r.runKubectl(c, cluster, kubectl)
	if f, is := errors.AsType[*failure](err); is && f.why == "" {
		return err // kubectl has said why
	}
	return during(doing, err)
}

func findKubectl() (string, error) {
	name := os.Getenv("KUBECTL")
	if name == "" {
		name = "kubectl"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", usage(name + ": not found; install kubectl, or say where it is with KUBECTL")
	}
	return path, nil
}

// kubectlEnds is how long kubectl may take to end when it is told to.
const kubectlEnds = 5 * time.Second

// runKubectl runs kubectl with a kubeconfig that lives as long as it. What listens here is an HTTP proxy that passes bytes on and
// knows nothing: the TLS is kubectl's own, from here to the cluster's member.
func (r *reach) runKubectl(c *cli.Context, cluster, kubectl string) error {
	first, err := r.dial(c.Context, cluster)
	if err != nil {
		return err // or kubectl would try it for half a minute
	}
	first.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.Context)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	defer l.Close()
	said := &once{to: c.App.ErrWriter, name: c.App.Name}
	group.Go(func() { r.passOn(ctx, l, cluster, said) })
	file, remove, err := r.kubeconfigFor(cluster, l.Addr().String())
	if err != nil {
		return err
	}
	defer remove()
	cmd := exec.CommandContext(ctx, kubectl, c.Args().Slice()...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+file)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.App.Reader, c.App.Writer, c.App.ErrWriter
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = kubectlEnds
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) && exit.ExitCode() > 0 {
		return &failure{code: exit.ExitCode()}
	} else if err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// kubeconfigFor is the kubeconfig. It holds a key: it comes onto no disk.
func (r *reach) kubeconfigFor(cluster, address string) (file string, remove func(), err error) {
	key, err := r.key(cluster)
	if err != nil {
		return "", nil, err
	}
	config := *clientcmdapi.NewConfig()
	config.CurrentContext = cluster
	config.AuthInfos["person"] = r.person
	config.Contexts[cluster] = &clientcmdapi.Context{Cluster: cluster, AuthInfo: "person"}
	config.Clusters[cluster] = &clientcmdapi.Cluster{
		// A name that stays the same, as kubectl keeps by it what it has learnt of a cluster.
		Server:        "https://" + cluster + "." + r.members.Fleet + ".hanse" + strings.TrimSuffix(v1alpha1.PathCluster, "/"),
		TLSServerName: r.members.ServerName, CertificateAuthorityData: []byte(key.certificate), ProxyURL: "http://" + address,
	}
	text, err := clientcmd.Write(config)
	if err != nil {
		return "", nil, err
	}
	defer clear(text)
	return inMemory("kubeconfig", text)
}

// passOn carries what comes to the listener to the cluster's member, until ctx ends.
func (r *reach) passOn(ctx context.Context, l net.Listener, cluster string, said *once) {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		group.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			if err := r.connect(ctx, conn, cluster); err != nil {
				said.tell(err)
			}
		})
	}
}

// connect serves one CONNECT, whatever host it names: there is one place to go.
func (r *reach) connect(ctx context.Context, conn net.Conn, cluster string) error {
	in := bufio.NewReader(conn)
	if ask, err := http.ReadRequest(in); err != nil || ask.Method != http.MethodConnect {
		io.WriteString(conn, "HTTP/1.1 405 Method Not Allowed\r\n\r\n")
		return nil // not kubectl, or one that has ended
	}
	way, err := r.dial(ctx, cluster)
	if err != nil {
		io.WriteString(conn, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		return err
	}
	defer context.AfterFunc(ctx, func() { way.Close() })()
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		way.Close()
		return nil // kubectl has gone
	}
	join(peeked.Conn{Conn: conn, Ahead: in}, way)
	return nil
}

// join carries bytes both ways until one end closes.
func join(a, b net.Conn) {
	var group sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		group.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // both ends see how it ended
			a.Close()
			b.Close()
		})
	}
	group.Wait()
}

// once tells each thing once: kubectl tries more than one time.
type once struct {
	mu   sync.Mutex
	to   io.Writer
	name string
	told map[string]bool
}

func (o *once) tell(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.told[err.Error()] {
		return
	}
	if o.told == nil {
		o.told = map[string]bool{}
	}
	o.told[err.Error()] = true
	fmt.Fprintf(o.to, "%s: %s\n", o.name, err)
}
