package drill

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/canary"
	"github.com/hanse-fleet/hanse/chaos/testbed"
	"github.com/hanse-fleet/hanse/chaos/testbed/testbedtest"
)

// ofThePod is a value in a bundle that no file of the pod's volume may show.
const ofThePod = "canary-4711-of-the-pod"

// A member runs in its own cluster as deploy/member.yaml says: it joins once, its volume opens with the Secret of its cluster alone, and with
// the rights of deploy/rbac.yaml it does what a member does. The cluster is a real one, and makes the pod. It has no node: what a kubelet would
// make of the pod, mounts and environment, is made here, and the program runs in that.
func TestAMemberInAPodOfItsCluster(t *testing.T) {
	t.Parallel()
	hanse := hanseBinary(t)
	c := testbedtest.Cluster(t)
	p := newPod(t, c, hanse)
	founder := gather(t, hanse, "acme", place{"fra", "eu"})[0]
	fra := founder.Person()

	rights, err := os.ReadFile("../../deploy/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	member, err := os.ReadFile("../../deploy/member.yaml")
	if err != nil {
		t.Fatal(err)
	}
	identity, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	manifest := strings.NewReplacer("IMAGE", "example.org/hanse:v1", "CLUSTER", "iad", "REGION", "us").Replace(string(member))
	p.kubectl(t, strings.ReplaceAll(string(rights), "FLEET", "acme")+"---"+ofBundles, "apply", "-f", "-")
	p.secret(t, "hanse-data-identity", "identity", fmt.Sprintf("# public key: %s\n%s\n", identity.Recipient(), identity))
	p.secret(t, "hanse-token", "token", ended(t, 0, tell(t, fra, nil, "token", "create", "--cluster", "iad"), nil).Out)
	p.kubectl(t, manifest, "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
	p.kubectl(t, manifest, "apply", "-f", "-")

	p.start(t)
	p.kubectl(t, "", "delete", "secret", "hanse-token", "-n", "hanse-system")
	t.Run("it applies what is granted to its cluster", func(t *testing.T) { p.gets(t, fra, "one") })
	t.Run("the fleet is told how its disk is", func(t *testing.T) {
		for name, want := range map[string]v1alpha1.DataDirectory{"iad": v1alpha1.DataDirectoryEncrypted, "fra": v1alpha1.DataDirectoryClear} {
			until(t, comesBack, func(context.Context) error {
				var c v1alpha1.Cluster
				err := json.Unmarshal([]byte(tell(t, fra, nil, "get", "cluster", name, "-o", "json").Out), &c)
				if got := c.Status.DataDirectory; err == nil && got != want {
					err = fmt.Errorf("the disk of %s is told as %q", name, got)
				}
				return err
			})
		}
	})
	t.Run("its probes answer", func(t *testing.T) { p.probes(t) })
	t.Run("its rights do not let it read the Secret", func(t *testing.T) {
		said, _ := p.ask(t, "", "auth", "can-i", "get", "secrets/hanse-data-identity", "-n", "hanse-system", "--as", "system:serviceaccount:hanse-system:hanse")
		if lines := strings.Fields(said); len(lines) == 0 || lines[len(lines)-1] != "no" { // kubectl ends with 1 then
			t.Error(said)
		}
	})
	t.Run("killed, its pod starts again without a token", func(t *testing.T) {
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		p.start(t)
		p.gets(t, fra, "two")
	})
	t.Run("its volume without the Secret is noise", func(t *testing.T) {
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		p.isNoise(t, identity, founder.Dir)
	})
}

// pod is the pod that the cluster makes of deploy/member.yaml.
type pod struct {
	*Daemon
	cluster *testbed.Cluster
	client  *kubernetes.Clientset
	clients string // kubectl
	root    string // where its mounts lie
}

func newPod(t *testing.T, c *testbed.Cluster, hanse string) *pod {
	t.Helper()
	if said, err := exec.Command("unshare", append(ownMounts(), "mount", "-t", "tmpfs", "tmpfs", "/run")...).CombinedOutput(); err != nil {
		if os.Getuid() != 0 {
			t.Skipf("this account may make no mounts of its own, as a pod has them: %v\n%s", err, said)
		}
		t.Fatalf("mount as a kubelet does: %v\n%s", err, said)
	}
	config, err := c.REST()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	root := folder(t)
	d, err := NewDaemon(hanse, root, "iad", "us")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bury(t, d) })
	return &pod{Daemon: d, cluster: c, client: client, clients: testbedtest.Binaries(t).Path(testbed.Kubectl), root: root}
}

// ask is what kubectl says, and how it ends.
func (p *pod) ask(t *testing.T, input string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Minute, errors.New("no end within 5 minutes"))
	defer cancel()
	cmd := exec.CommandContext(ctx, p.clients, append([]string{"--kubeconfig", p.cluster.Kubeconfig()}, args...)...)
	cmd.Env, cmd.Stdin = ownEnv(), strings.NewReader(input)
	said, err := cmd.CombinedOutput()
	return string(said), err
}

func (p *pod) kubectl(t *testing.T, input string, args ...string) string {
	t.Helper()
	said, err := p.ask(t, input, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, said)
	}
	return said
}

// secret is made as deploy/member.yaml says: what is in it lies on no disk on its way.
func (p *pod) secret(t *testing.T, name, key, value string) {
	t.Helper()
	p.kubectl(t, value, "create", "secret", "generic", name, "-n", "hanse-system", "--from-file="+key+"=/dev/stdin")
}

// start does what a kubelet does with the pod: its init containers to their ends, then its container.
func (p *pod) start(t *testing.T) {
	t.Helper()
	var made *corev1.Pod
	until(t, 2*time.Minute, func(ctx context.Context) (err error) {
		made, err = p.client.CoreV1().Pods("hanse-system").Get(ctx, "hanse-member-0", metav1.GetOptions{})
		return err
	})
	for _, c := range made.Spec.InitContainers {
		cmd := p.command(t, made, c, "--listen", p.Members(), "--api-listen", p.People())
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c.Name, err, said)
		}
	}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := p.command(t, made, made.Spec.Containers[0])
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.running = cmd
	until(t, comesBack, func(ctx context.Context) error {
		_, err := p.Status(ctx)
		return err
	})
}

// ownMounts are the flags of unshare with which a program gets mounts of its own.
func ownMounts() []string {
	if os.Getuid() != 0 {
		return []string{"--user", "--map-root-user", "--mount"}
	}
	return []string{"--mount"}
}

// mounting makes the mounts, each told as where and what, and runs a program in them, in its own place.
const mounting = `for over in /run "$(readlink -f /var/run)" /var/lib; do mount -t tmpfs tmpfs "$over"; done
while [ "$1" != run ]; do mkdir -p "$1"; mount --bind "$2" "$1"; shift 2; done
shift; exec "$@"`

// command runs a container's program, with more arguments, in its mounts and its environment.
func (p *pod) command(t *testing.T, made *corev1.Pod, c corev1.Container, more ...string) *exec.Cmd {
	t.Helper()
	args := append(ownMounts(), "sh", "-euc", mounting, "sh")
	for _, m := range c.VolumeMounts {
		i := slices.IndexFunc(made.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
		args = append(args, m.MountPath, p.volume(t, made.Spec.Volumes[i], made.Spec.ServiceAccountName))
	}
	args = append(append(append(args, "run", p.hanse), c.Args...), more...)
	cmd := exec.CommandContext(t.Context(), "unshare", args...)
	cmd.Env = ownEnv()
	for _, e := range c.Env {
		cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
	}
	config, err := p.cluster.REST()
	if err != nil {
		t.Fatal(err)
	}
	server, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(server.Host)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "KUBERNETES_SERVICE_HOST="+host, "KUBERNETES_SERVICE_PORT="+port)
	return cmd
}

// volume is the folder of a volume, filled as a kubelet fills it.
func (p *pod) volume(t *testing.T, v corev1.Volume, account string) string {
	t.Helper()
	files := map[string][]byte{}
	dir := filepath.Join(p.root, "volume-"+v.Name)
	switch {
	case v.PersistentVolumeClaim != nil:
		dir = p.Dir
	case v.Secret != nil:
		s, err := p.client.CoreV1().Secrets("hanse-system").Get(t.Context(), v.Secret.SecretName, metav1.GetOptions{})
		if err != nil && !(apierrors.IsNotFound(err) && v.Secret.Optional != nil && *v.Secret.Optional) {
			t.Fatal(err)
		}
		files = s.Data
	case v.Projected != nil: // what every pod has of its service account
		config, err := p.cluster.REST()
		if err != nil {
			t.Fatal(err)
		}
		files["ca.crt"] = config.CAData
		files["token"] = []byte(strings.TrimSpace(p.kubectl(t, "", "create", "token", account, "-n", "hanse-system", "--duration", "1h")))
	default:
		t.Fatalf("volume %s is of no kind that is known here", v.Name)
	}
	if dir != p.Dir {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// gets waits until a bundle that was changed elsewhere is in the pod's cluster as it is now.
func (p *pod) gets(t *testing.T, elsewhere Person, what string) {
	t.Helper()
	manifest := fmt.Appendf(nil, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: pod, namespace: default}\ndata: {is: %q, of: %s}\n", what, ofThePod)
	args := []string{"apply", "--bundle", "pod", "--clusters", "iad", "-f", "-"}
	ended(t, 0, tell(t, elsewhere, manifest, args...), args)
	until(t, 3*time.Minute, settings(p.client, "default", "pod", "is", what))
}

// probes asks what the kubelet asks.
func (p *pod) probes(t *testing.T) {
	t.Helper()
	made, err := p.client.CoreV1().Pods("hanse-system").Get(t.Context(), "hanse-member-0", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := made.Spec.Containers[0]
	client := http.Client{Timeout: statusPatience, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // as a kubelet does
	for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe} {
		if port := probe.HTTPGet.Port.StrVal; !slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == port && p.ContainerPort == portPeople }) {
			t.Errorf("it asks port %s", port)
		}
		address := strings.ToLower(string(probe.HTTPGet.Scheme)) + "://" + p.People() + probe.HTTPGet.Path
		until(t, comesBack, func(ctx context.Context) error {
			ask, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
			if err != nil {
				return err
			}
			answer, err := client.Do(ask)
			if err != nil {
				return err
			}
			defer answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				return fmt.Errorf("%s answers %s", address, answer.Status)
			}
			return nil
		})
	}
}

// isNoise looks through the volume, and through a data directory in the clear, where the same is to be found, and tries to start on it with what its thief has.
func (p *pod) isNoise(t *testing.T, identity *age.HybridIdentity, clear string) {
	t.Helper()
	values, err := canary.Identity("the data identity", identity.String())
	if err != nil {
		t.Fatal(err)
	}
	values["the bundle"], values["a PEM"], values["a key"] = []byte(ofThePod), []byte("PRIVATE KEY"), []byte("AGE-SECRET-KEY-")
	finder := canary.New(values)
	if found, err := finder.Files(p.Dir); err != nil || len(found) > 0 {
		t.Errorf("%v\n%s", err, strings.Join(found, "\n"))
	}
	found, err := finder.Files(clear)
	if err != nil {
		t.Fatal(err)
	}
	mentions(t, strings.Join(found, "\n"), "the bundle", "a PEM", "a key")
	other, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.root, "other")
	if err := os.WriteFile(file, []byte(other.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flags []string
		says  string
	}{{nil, "is encrypted; give the age key that opens it"}, {[]string{"--data-identity", file}, "is encrypted to another identity"}} {
		args := append([]string{"agent", "--data-dir", p.Dir, "--kubeconfig", "none"}, c.flags...)
		mentions(t, ended(t, 1, tell(t, Person{Hanse: p.hanse}, nil, args...), args).Talk, c.says)
	}
	log, err := os.ReadFile(p.Log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "forbidden") {
			t.Errorf("in its log: %s", line)
		}
	}
}
