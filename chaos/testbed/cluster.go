package testbed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	fileKubeconfig            = "kubeconfig"
	fileControllersKubeconfig = "controllers.kubeconfig"
	fileAuditPolicy           = "audit.yaml"
)

// Options say how a cluster is to be.
type Options struct {
	// Binaries to run; see FindBinaries.
	Binaries Binaries
	// Site is where the cluster lies; zero: named "test", at a loopback address that nobody uses.
	Site Site
	// Tethered clusters end with this process, however it ends. Others go on until they are killed.
	Tethered bool
	// AuditPolicy is what the kube-apiserver writes down of requests; "": who looked into pods.
	AuditPolicy string

	lock *os.File // the testbed's
}

// Cluster is one control plane: etcd, kube-apiserver and kube-controller-manager, in one folder.
type Cluster struct {
	site     Site
	dir      string
	binaries Binaries
	launcher launcher

	mu      sync.Mutex
	started map[string]*process // by this process, and not killed by it
}

// StartCluster makes a cluster in dir, or starts the one that is there, and returns when it takes work.
func StartCluster(ctx context.Context, dir string, o Options) (*Cluster, error) {
	if o.Site.Name == "" {
		site, err := freeSite("test", "test")
		if err != nil {
			return nil, err
		}
		o.Site = site
	}
	c, err := openCluster(dir, o)
	if err != nil {
		return nil, err
	}
	if err := c.Start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// openCluster makes what a cluster needs on disk, and starts nothing.
func openCluster(dir string, o Options) (*Cluster, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open cluster %s: %w", o.Site.Name, err)
	}
	c := lookCluster(dir, o.Site)
	c.binaries, c.launcher.lock = o.Binaries, o.lock
	if err := errors.Join(os.MkdirAll(c.launcher.records, 0o700), os.MkdirAll(c.launcher.logs, 0o700)); err != nil {
		return nil, fmt.Errorf("open cluster %s: %w", o.Site.Name, err)
	}
	if err := errors.Join(makePKI(c.path("pki"), c.site.Address), makeFrontProxy(c.path("front-proxy"))); err != nil {
		return nil, fmt.Errorf("open cluster %s: %w", o.Site.Name, err)
	}
	err = errors.Join(
		writeFile(c.path(fileAuditPolicy), []byte(cmp.Or(o.AuditPolicy, auditPolicy))),
		writeKubeconfig(c.Kubeconfig(), c.path("pki"), c.site.Name, c.Server(), fileAdmin, fileAdminKey),
		writeKubeconfig(c.path(fileControllersKubeconfig), c.path("pki"), c.site.Name, c.Server(), fileControllers, fileControllersKey),
	)
	if err != nil {
		return nil, fmt.Errorf("open cluster %s: %w", o.Site.Name, err)
	}
	if o.Tethered {
		c.launcher.tether, err = newTether()
	}
	return c, err
}

// lookCluster is a cluster whose processes and paths can be asked for.
func lookCluster(dir string, site Site) *Cluster {
	return &Cluster{
		site: site, dir: dir,
		launcher: launcher{records: filepath.Join(dir, "run"), logs: filepath.Join(dir, "log")},
		started:  map[string]*process{},
	}
}

// Name of the cluster, and of its kubeconfig's context.
func (c *Cluster) Name() string { return c.site.Name }

// Region of the cluster.
func (c *Cluster) Region() string { return c.site.Region }

// Server is the URL of the kube-apiserver.
func (c *Cluster) Server() string { return "https://" + c.site.hostport(portAPIServer) }

// Kubeconfig is the path of a kubeconfig that may do everything.
func (c *Cluster) Kubeconfig() string { return c.path(fileKubeconfig) }

// AuditLog is the path of what the kube-apiserver writes down of who asked for pods.
func (c *Cluster) AuditLog() string { return filepath.Join(c.launcher.logs, "audit.log") }

// REST is a new client configuration that may do everything, without a rate limit of the client's own.
func (c *Cluster) REST() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig of %s: %w", c.Name(), err)
	}
	config.QPS = -1
	return config, nil
}

// Pids are the processes that run now, by program.
func (c *Cluster) Pids() map[string]int {
	pids := map[string]int{}
	for _, name := range Programs {
		if pid, ok := c.launcher.running(name); ok {
			pids[name] = pid
		}
	}
	return pids
}

// Start starts what does not run, of all programs or of those named, and returns when the cluster takes work. Started
// without its kube-apiserver it returns at once.
func (c *Cluster) Start(ctx context.Context, names ...string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("not ready within 2 minutes"))
	defer cancel()
	if err := c.start(ctx, names); err != nil {
		return fmt.Errorf("start cluster %s: %w", c.Name(), err)
	}
	return nil
}

func (c *Cluster) start(ctx context.Context, names []string) error {
	steps := []struct {
		program program
		ready   func(context.Context) (bool, error)
	}{
		{c.etcd(), nil}, // kube-apiserver waits for it
		{c.apiServer(), c.serves},
		{c.controllerManager(), c.controls},
	}
	for _, s := range steps {
		if len(names) > 0 && !slices.Contains(names, s.program.name) {
			continue
		}
		if err := c.ensure(s.program); err != nil {
			return err
		}
		if s.ready == nil {
			continue
		}
		if err := c.await(ctx, s.program.name, s.ready); err != nil {
			return err
		}
	}
	return nil
}

// ensure starts a program unless it runs.
func (c *Cluster) ensure(p program) error {
	if _, ok := c.launcher.running(p.name); ok {
		return nil
	}
	if err := c.site.free(p.tcp, p.udp); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	started, err := c.launcher.start(p)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started[p.name] = started
	return nil
}

// await polls until ready, and fails as soon as a program that this process started has ended.
func (c *Cluster) await(ctx context.Context, name string, ready func(context.Context) (bool, error)) error {
	err := poll(ctx, 50*time.Millisecond, func() (bool, error) {
		if err := c.failed(); err != nil {
			return false, err
		}
		return ready(ctx)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// failed is an error when a program that was started has ended by itself.
func (c *Cluster) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.started {
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended: %w\n%s", p.name, p.err, lastLines(p.log))
		default:
		}
	}
	return nil
}

// serves is true once the kube-apiserver says that it is ready.
func (c *Cluster) serves(ctx context.Context) (bool, error) {
	config, err := c.REST()
	if err != nil {
		return false, err
	}
	config.Timeout = 2 * time.Second
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return false, err
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Server()+"/readyz", nil)
	if err != nil {
		return false, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return false, nil // not yet
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode == http.StatusOK, nil
}

// controls is true once the controllers have done their first work: without the default service account no pod can
// be made.
func (c *Cluster) controls(ctx context.Context) (bool, error) {
	config, err := c.REST()
	if err != nil {
		return false, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return false, err
	}
	_, err = client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err == nil, nil
}

// Kill ends all programs, or those named, at once: nothing gets a chance to write or say goodbye. It returns when they
// are gone. Start brings them back with what they had.
func (c *Cluster) Kill(names ...string) error {
	if len(names) == 0 {
		names = Programs
	}
	if err := c.launcher.kill(names...); err != nil {
		return fmt.Errorf("kill cluster %s: %w", c.Name(), err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range names {
		if p := c.started[name]; p != nil {
			<-p.ended
			delete(c.started, name)
		}
	}
	return nil
}

// Close kills the cluster and lets go of what this process holds for it. Its folder stays.
func (c *Cluster) Close() error {
	err := c.Kill()
	c.launcher.tether.cut()
	return err
}

const tailLines = 8

// LogTail is the end of a program's log, for people.
func (c *Cluster) LogTail(name string) string { return lastLines(c.launcher.log(name)) }

// lastLines is the end of a log, for an error.
func lastLines(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-tailLines):], "\n  ") + "\n  log: " + path
}
