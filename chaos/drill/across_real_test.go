package drill

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// acrossClusters asks one member for what is in all clusters, as an admin and as somebody who may only look.
func acrossClusters(t *testing.T, f *field) {
	kubelet := f.podIn(t, "iad")
	admin := viaHTTPS{f, f.kubeconfig(t, "fra")}
	vera := viaHTTPS{f, f.person(t, admin.kubeconfig, "vera", "Viewer")}
	// Roles are bound when a member starts, which may be just now.
	until(t, 3*time.Minute, func(context.Context) error {
		if said := vera.tell(t, "get", "pods", "--all-clusters"); said.Code != 0 {
			return errors.New(said.String())
		}
		return nil
	})
	t.Run("pods of all clusters, by https and by the socket", func(t *testing.T) {
		for _, said := range []Said{vera.tell(t, "get", "pods", "-A", "--all-clusters"), f.must(t, "sin", nil, "get", "pods", "-A", "--all-clusters")} {
			mentions(t, said.Out, "CLUSTER   NAMESPACE", "iad       default     web")
		}
		var list corev1.PodList
		said := vera.tell(t, "get", "po", "web", "--all-clusters", "-l", "app=web", "-o", "json")
		if err := json.Unmarshal([]byte(said.Out), &list); err != nil || len(list.Items) != 1 || list.Items[0].Annotations["fleet.hanse.dev/cluster"] != "iad" {
			t.Errorf("%v: %s", err, said)
		}
	})
	t.Run("the cluster's own rules decide", func(t *testing.T) {
		mentions(t, ended(t, 1, vera.tell(t, "get", "secrets", "--all-clusters"), nil).Talk, `User "hanse:vera" cannot list`)
		mentions(t, ended(t, 1, vera.kubectl(t, "iad", "label", "pod", "web", "by=vera"), nil).Talk, `User "hanse:vera" cannot patch`)
		mentions(t, ended(t, 0, admin.kubectl(t, "iad", "label", "pod", "web", "by=admin"), nil).Out, "pod/web labeled")
	})
	t.Run("nobody asks in another's name", func(t *testing.T) {
		if said := admin.kubectl(t, "iad", "get", "pods", "--as=root"); said.Code == 0 {
			t.Error(said)
		}
	})
	t.Run("clusters say what a change would come to, to those who may make it there", func(t *testing.T) { f.foresees(t, admin, vera) })
	t.Run("what somebody changed is told, field by field", func(t *testing.T) { f.drifts(t, admin) })
	t.Run("what nobody can change is made anew where its manifest says so, and nowhere else", func(t *testing.T) { f.replaces(t, admin) })
	t.Run("a log that is followed comes as it is written", func(t *testing.T) { vera.follows(t, kubelet) })
	t.Run("what is upgraded goes both ways", func(t *testing.T) { admin.shell(t) })
	for protocol, webSockets := range map[string]string{"by WebSocket": "true", "by SPDY": "false"} {
		t.Run("a stock kubectl runs a command and forwards a port, "+protocol, func(t *testing.T) { admin.streams(t, webSockets) })
	}
	t.Run("the cluster's own admins may say otherwise", func(t *testing.T) { f.bindings(t, vera) })
	t.Run("a consumer of ClusterProfiles reaches a cluster by its own library", func(t *testing.T) { vera.consumes(t) })
	t.Run("the cluster writes down who it was", func(t *testing.T) {
		until(t, 2*time.Minute, func(context.Context) error { return f.audited(t, "iad", "hanse:vera", "web", "log") })
	})
	t.Run("a dead cluster is named and not waited for", func(t *testing.T) {
		f.kill(t, "eu") // the first by name: the others do not wait behind it either
		said := ended(t, 3, f.tell(t, "iad", nil, "get", "namespaces", "--all-clusters"), nil)
		mentions(t, said.Out, "iad       default", "sin       default")
		mentions(t, said.Talk, "fra: iad does not reach fra", "2 of 3 clusters answered; what is in fra is not shown")
		t.Logf("after %s", round(said.Took))
		f.healAll(t)
		f.heal(t)
	})
	t.Run("who is let go is nobody there at once, and hears no more", func(t *testing.T) {
		ended := vera.follows(t, kubelet)
		f.must(t, "fra", nil, "delete", "user", "vera")
		until(t, 2*time.Minute, func(context.Context) error {
			if said := vera.tell(t, "get", "pods", "--all-clusters"); said.Code == 0 {
				return errors.New(said.String())
			}
			return nil
		})
		ended()
	})
}

// foresees asks the clusters what a bundle would do to what is in them. Nothing of it is there afterwards.
func (f *field) foresees(t *testing.T, admin, vera viaHTTPS) {
	file := filepath.Join(t.TempDir(), "foreseen.yaml")
	if err := os.WriteFile(file, []byte(foreseen), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"diff", "--bundle", "foreseen", "--clusters", "fra,iad", "-f", file}
	said := ended(t, 3, admin.tell(t, args...), args)
	mentions(t, said.Out, "foreseen: 2 clusters change, 2 cannot take it, nothing is deleted", "fra, iad\n", "+ configmap default/good",
		"! configmap default/kube-root-ca.crt   it is there already", "! service default/bad", "must be between 1 and 65535", "! nothing x   the cluster does not serve")
	mentions(t, ended(t, 1, vera.tell(t, args...), args).Talk, "it needs role Operator")
	above := filepath.Join(t.TempDir(), "above.yaml")
	if err := os.WriteFile(above, []byte(aboveAnother), 0o600); err != nil {
		t.Fatal(err)
	}
	said = ended(t, 3, admin.tell(t, "diff", "-f", above), nil)
	mentions(t, said.Out, "above: 1 cluster changes, nothing is deleted", "+ configmap below/settings", "+ crumb below/one")
	otto := viaHTTPS{f, f.person(t, admin.kubeconfig, "otto", "Operator")}
	partly := filepath.Join(t.TempDir(), "partly.yaml")
	if err := os.WriteFile(partly, []byte(partlyClosed), 0o600); err != nil {
		t.Fatal(err)
	}
	said = ended(t, 3, otto.tell(t, "diff", "--bundle", "partly", "--clusters", "iad", "-f", partly), nil)
	mentions(t, said.Out, "! configmap default/kube-root-ca.crt   it is there already", "+ namespace partly")
	mentions(t, said.Talk, `iad: namespace partly: compared with what it was granted: namespaces "partly" is forbidden: User "hanse:otto" cannot `)
	if said := admin.kubectl(t, "iad", "get", "configmap", "good"); said.Code == 0 {
		t.Error("what was only looked at is there: " + said.String())
	}
}

// drifts changes what a bundle leaves as it finds it.
func (f *field) drifts(t *testing.T, admin viaHTTPS) {
	f.must(t, "iad", []byte(reported), "apply", "-f", "-", "--wait")
	mentions(t, ended(t, 0, admin.tell(t, "drift", "reported"), nil).Out, "as granted in 2 clusters")
	ended(t, 0, admin.kubectl(t, "iad", "patch", "configmap", "reported", "-p", `{"data":{"greeting":"hi"}}`), nil)
	said := ended(t, 3, admin.tell(t, "drift", "reported"), nil)
	mentions(t, said.Out, "reported: not as granted in 1 cluster; drift: Report", "iad\n  ~ configmap default/reported\n", "data.greeting   hi → welcome")
	ended(t, 0, admin.tell(t, "drift", "reported", "--cluster", "fra"), nil)
	said = ended(t, 0, admin.tell(t, "drift", "reported", "--correct", "--dry-run"), nil)
	mentions(t, said.Out, "~ configmap default/reported\n", "data.greeting   hi → welcome")
	mentions(t, ended(t, 0, admin.tell(t, "drift", "reported", "--cluster", "fra", "--correct"), nil).Talk, "nothing differs; nothing was written")
	mentions(t, ended(t, 0, f.tell(t, "sin", nil, "drift", "reported", "configmap/reported", "--correct"), nil).Talk, "bundle reported has it put right once at revision")
	until(t, 3*time.Minute, func(context.Context) error {
		if said := admin.tell(t, "drift", "reported"); said.Code != 0 {
			return errors.New(said.String())
		}
		return nil
	})
	for _, cluster := range []string{"fra", "iad"} {
		ended(t, 0, admin.kubectl(t, cluster, "patch", "configmap", "reported", "-p", `{"data":{"greeting":"hi"}}`), nil)
	}
	mentions(t, ended(t, 2, admin.tell(t, "drift", "reported", "--correct"), nil).Talk, "say --yes")
	ended(t, 3, admin.tell(t, "drift", "reported"), nil)
	mentions(t, ended(t, 0, admin.tell(t, "drift", "reported", "--correct", "--yes"), nil).Talk, "an order from before holds until", "has it put right once at revision")
	until(t, 2*time.Minute, func(context.Context) error {
		if said := admin.tell(t, "drift", "reported"); said.Code != 0 {
			return errors.New(said.String())
		}
		return nil
	})
	ended(t, 0, admin.kubectl(t, "iad", "patch", "configmap", "reported", "-p", `{"data":{"greeting":"hi"}}`), nil)
	ended(t, 3, admin.tell(t, "drift", "reported"), nil)
	said = ended(t, 0, admin.tell(t, "drift", "reported", "--ignore", "--dry-run"), nil)
	mentions(t, said.Out, "ignore:", "- /data/greeting", "name: reported")
	said = ended(t, 0, admin.tell(t, "drift", "reported", "configmap/reported", "--accept"), nil)
	mentions(t, said.Out, "overrides:", "- iad\n", "greeting: hi")
	mentions(t, said.Talk, "bundle reported says so at revision")
	until(t, 2*time.Minute, func(context.Context) error {
		if said := admin.tell(t, "drift", "reported"); said.Code != 0 {
			return errors.New(said.String())
		}
		return nil
	})
	mentions(t, ended(t, 0, admin.kubectl(t, "iad", "get", "configmap", "reported", "-o", "jsonpath={.data.greeting}"), nil).Out, "hi")
	mentions(t, ended(t, 0, admin.tell(t, "drift", "reported", "--accept"), nil).Talk, "nothing differs that could be taken over")
	ended(t, 0, admin.kubectl(t, "iad", "patch", "configmap", "fixed", "-p", `{"data":{"greeting":"hi"},"immutable":true}`), nil)
	mentions(t, ended(t, 0, admin.tell(t, "drift", "reported", "--accept"), nil).Talk, "iad: configmap default/fixed: the cluster would not take what was granted", "field is immutable", "write the override by hand",
		"nothing differs that could be taken over")
	f.must(t, "iad", nil, "delete", "bundle", "reported", "--yes", "--wait")
}

const reported = `
apiVersion: fleet.hanse.dev/v1alpha1
kind: Bundle
metadata: {name: reported}
spec:
  placement: {clusters: [fra, iad]}
  drift: Report
  manifests:
    - {apiVersion: v1, kind: ConfigMap, metadata: {name: reported, namespace: default}, data: {greeting: welcome}}
    - {apiVersion: v1, kind: ConfigMap, metadata: {name: fixed, namespace: default}, data: {greeting: welcome}}
`

const partlyClosed = `
{apiVersion: v1, kind: Namespace, metadata: {name: partly}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: kube-root-ca.crt, namespace: default}, data: {a: b}}
`

const foreseen = `
{apiVersion: v1, kind: ConfigMap, metadata: {name: kube-root-ca.crt, namespace: default}, data: {a: b}}
---
{apiVersion: v1, kind: Service, metadata: {name: bad, namespace: default}, spec: {ports: [{port: 99999999}]}}
---
{apiVersion: example.com/v1, kind: Nothing, metadata: {name: x}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: good}, data: {a: b}}
`

// aboveAnother needs a namespace and a kind that a bundle brings on which it depends.
const aboveAnother = `
{apiVersion: fleet.hanse.dev/v1alpha1, kind: Bundle, metadata: {name: above}, spec: {placement: {clusters: [iad]}, dependsOn: [below], manifests: [
  {apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: below}, data: {a: b}},
  {apiVersion: example.com/v1, kind: Crumb, metadata: {name: one, namespace: below}}]}}
---
{apiVersion: fleet.hanse.dev/v1alpha1, kind: Bundle, metadata: {name: below}, spec: {placement: {clusters: [iad]}, manifests: [
  {apiVersion: v1, kind: Namespace, metadata: {name: below}},
  {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: crumbs.example.com}, spec: {group: example.com, scope: Namespaced, names: {kind: Crumb, plural: crumbs},
    versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}}]}}
`

// replaces changes what clusters let nobody change.
func (f *field) replaces(t *testing.T, admin viaHTTPS) {
	f.must(t, "iad", []byte(fixed), "apply", "-f", "-", "--wait")
	uid := func() string {
		return ended(t, 0, admin.kubectl(t, "iad", "get", "configmap", "fixed", "-o", "jsonpath={.metadata.uid}"), nil).Out
	}
	before := uid()
	changed := strings.ReplaceAll(fixed, "blue", "green")
	file := filepath.Join(t.TempDir(), "fixed.yaml")
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	said := ended(t, 3, admin.tell(t, "diff", "-f", file), nil)
	mentions(t, said.Out, "fixed: 2 clusters change, 2 cannot take it, 1 object is deleted and made anew", "iad\n", "± configmap default/fixed   deleted and made anew: nobody can change data\n",
		"data.color   blue → green", "! configmap default/firm", "with the annotation fleet.hanse.dev/replace: WhenImmutable it would be deleted and made anew")
	f.must(t, "iad", []byte(strings.ReplaceAll(changed, "firm: green", "firm: blue")), "apply", "-f", "-", "--wait")
	if after := uid(); after == before {
		t.Error("it is the same object")
	}
	f.must(t, "iad", nil, "delete", "bundle", "fixed", "--yes", "--wait")
}

// fixed is to be made anew in iad alone, by an override.
const fixed = `
apiVersion: fleet.hanse.dev/v1alpha1
kind: Bundle
metadata: {name: fixed}
spec:
  placement: {clusters: [fra, iad]}
  overrides:
  - clusters: [iad]
    patches:
    - {target: {kind: ConfigMap, name: fixed}, merge: {metadata: {annotations: {fleet.hanse.dev/replace: WhenImmutable}}, data: {color: blue}, immutable: true}}
  manifests:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: fixed, namespace: default}, data: {color: red}}
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: firm, namespace: default}, data: {firm: blue}, immutable: true}
`

// viaHTTPS is a person with a kubeconfig that hanse wrote.
type viaHTTPS struct {
	*field
	kubeconfig string
}

func (p viaHTTPS) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.hanse, args...)
	cmd.Env = append(ownEnv(), "HANSE_CONFIG="+p.kubeconfig)
	if kubernetes, err := testbed.FindBinaries(); err == nil {
		cmd.Env = append(cmd.Env, "KUBECTL="+kubernetes.Path(testbed.Kubectl))
	}
	return cmd
}

func (p viaHTTPS) tell(t *testing.T, args ...string) Said {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := p.command(ctx, args...)
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	begun := time.Now()
	if err := cmd.Run(); cmd.ProcessState == nil || ctx.Err() != nil {
		t.Fatalf("hanse %s: %v", strings.Join(args, " "), err)
	}
	return Said{Out: out.String(), Talk: talk.String(), Code: cmd.ProcessState.ExitCode(), Took: time.Since(begun)}
}

func (p viaHTTPS) kubectl(t *testing.T, cluster string, args ...string) Said {
	t.Helper()
	return p.tell(t, append([]string{"kubectl", "--cluster", cluster, "--"}, args...)...)
}

// follows reads a line of a log before the next one is written. It goes on until ended, or its end is waited for.
func (p viaHTTPS) follows(t *testing.T, lines chan<- string) (ended func()) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := p.command(ctx, "logs", "--cluster", "iad", "-f", "web")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	heard := bufio.NewScanner(out)
	for _, line := range []string{"first", "second", "third"} {
		select {
		case lines <- line:
		case <-ctx.Done():
			t.Fatal("nobody follows the log")
		}
		if !heard.Scan() || heard.Text() != line {
			t.Fatalf("%q, %v instead of %q", heard.Text(), heard.Err(), line)
		}
	}
	return func() {
		if heard.Scan() || ctx.Err() != nil {
			t.Errorf("it goes on: %q, %v", heard.Text(), ctx.Err())
		}
		_ = cmd.Wait() // how it ended is for others to see
	}
}

// shell opens a tunnel from fra to iad by hand, and in it what kubectl exec opens.
func (p viaHTTPS) shell(t *testing.T) {
	config, err := clientcmd.LoadFromFile(p.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	me, err := tls.X509KeyPair(config.AuthInfos[config.Contexts["fra"].AuthInfo].ClientCertificateData, config.AuthInfos[config.Contexts["fra"].AuthInfo].ClientKeyData)
	if err != nil {
		t.Fatal(err)
	}
	as := func(cluster string) *tls.Config {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(config.Clusters[cluster].CertificateAuthorityData)
		return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{me}, ServerName: config.Clusters[cluster].TLSServerName, NextProtos: []string{"http/1.1"}}
	}
	server, err := url.Parse(config.Clusters["fra"].Server)
	if err != nil {
		t.Fatal(err)
	}
	outer, err := tls.Dial("tcp", server.Host, as("fra"))
	if err != nil {
		t.Fatal(err)
	}
	defer outer.Close()
	outer.SetDeadline(time.Now().Add(time.Minute))
	upgraded(t, outer, outer, "GET "+v1alpha1.PathTunnel+"iad", v1alpha1.UpgradeTunnel)
	inner := tls.Client(outer, as("iad"))
	in := upgraded(t, inner, inner, "POST /cluster/api/v1/namespaces/default/pods/web/exec?command=sh&stdin=true&stdout=true", "SPDY/3.1")
	fmt.Fprintln(inner, "hello")
	if line, err := in.ReadString('\n'); err != nil || line != "hello\n" {
		t.Errorf("%q, %v", line, err)
	}
}

// upgraded asks for an upgrade, and returns what the other side says from then on.
func upgraded(t *testing.T, w io.Writer, r io.Reader, ask, protocol string) *bufio.Reader {
	t.Helper()
	fmt.Fprintf(w, "%s HTTP/1.1\r\nHost: member.hanse\r\nConnection: Upgrade\r\nUpgrade: %s\r\nContent-Length: 0\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n", ask, protocol)
	in := bufio.NewReader(r)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		said, _ := io.ReadAll(answer.Body)
		t.Fatalf("%s: %s %s", ask, answer.Status, said)
	}
	return in
}

// echoes is a kubelet's part of kubectl exec, as far as nobody looks into the bytes.
func echoes(t *testing.T, w http.ResponseWriter) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n")
	io.Copy(conn, buffered)
}

// bindings of the fleet's roles are put right, but for those that the cluster keeps for itself.
func (f *field) bindings(t *testing.T, viewer viaHTTPS) {
	const binding = "clusterrolebinding/hanse:acme:role:Viewer"
	looks := func(may bool) func(context.Context) error {
		return func(context.Context) error {
			said := viewer.tell(t, "get", "pods", "--cluster", "sin")
			if (said.Code == 0) != may {
				return errors.New(said.String())
			}
			return nil
		}
	}
	subjects := func(cluster string, n int) {
		t.Helper()
		until(t, 2*time.Minute, func(ctx context.Context) error {
			said, err := f.kubectl(ctx, cluster, "", "get", binding, "-o", "jsonpath={.subjects[*].name}")
			if found := len(strings.Fields(said)); err == nil && found != n {
				err = fmt.Errorf("%d subjects", found)
			}
			return err
		})
	}
	f.mustKubectl(t, "sin", "", "patch", binding, "--type=merge", "-p", `{"subjects":[]}`)
	subjects("sin", 1)
	f.mustKubectl(t, "sin", "", "patch", binding, "--type=merge", "-p", `{"metadata":{"annotations":{"rbac.authorization.kubernetes.io/autoupdate":"false"}},"subjects":[]}`)
	until(t, 2*time.Minute, looks(false))
	f.mustKubectl(t, "sin", "", "delete", "clusterrolebinding/hanse:acme:role:Operator")
	until(t, 2*time.Minute, func(ctx context.Context) error { // then the round is over that has seen both
		_, err := f.kubectl(ctx, "sin", "", "get", "clusterrolebinding/hanse:acme:role:Operator")
		return err
	})
	subjects("sin", 0)
	f.mustKubectl(t, "sin", "", "delete", binding)
	until(t, 2*time.Minute, looks(true))
}

// consumes asks a cluster as the tools of SIG Multicluster do: with nothing but the ClusterProfile that another cluster shows,
// and `hanse credential` for the access provider hanse.
func (p viaHTTPS) consumes(t *testing.T) {
	rooms := filepath.Join("..", "..", "project")
	p.mustKubectl(t, "fra", "", "apply", "--server-side", "-f", filepath.Join(rooms, "crds"))
	consumer, providers := filepath.Join(t.TempDir(), "consumer"), filepath.Join(t.TempDir(), "providers.json")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-C", filepath.Join(rooms, "testdata", "consumer"), "-o", consumer, ".").CombinedOutput(); err != nil {
		t.Fatalf("build consumer: %v\n%s", err, out)
	}
	text := fmt.Sprintf(`{"providers": [{"name": "hanse", "execConfig": {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
		"command": %q, "args": ["credential", "--config", %q], "provideClusterInfo": true}}]}`, p.hanse, p.kubeconfig)
	if err := os.WriteFile(providers, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	took := until(t, 2*time.Minute, func(ctx context.Context) error { // a kind that is new is noticed within a minute
		profile, err := p.field.kubectl(ctx, "fra", "", "get", "clusterprofiles", "-n", "hanse-system", "iad", "-o", "json")
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, consumer, providers, "/api/v1/namespaces/default/pods/web")
		cmd.Env, cmd.Stdin = ownEnv(), strings.NewReader(profile)
		said, err := cmd.CombinedOutput()
		if err == nil && !bytes.Contains(said, []byte(`"name":"web"`)) {
			err = errors.New("there is no pod web in it")
		}
		if err != nil {
			err = fmt.Errorf("%w: %s", err, said)
		}
		return err
	})
	t.Logf("after %s", round(took))
	p.controlPlaneDies(t, "iad")
	p.mustKubectl(t, "fra", "", "delete", "-f", filepath.Join(rooms, "crds"))
}

// controlPlaneDies kills a cluster's kube-apiserver beside a member that lives, and sees what another cluster shows of both.
func (p viaHTTPS) controlPlaneDies(t *testing.T, cluster string) {
	shows := func(want string) {
		t.Helper()
		until(t, 3*time.Minute, func(ctx context.Context) error {
			const conditions = `-o=jsonpath={.status.conditions[?(@.type=="ControlPlaneHealthy")].status}`
			profile, err := p.field.kubectl(ctx, "fra", "", "get", "clusterprofiles", "-n", "hanse-system", cluster, conditions)
			if err == nil && profile != want {
				err = fmt.Errorf("ControlPlaneHealthy is %q", profile)
			}
			return err
		})
		mentions(t, p.must(t, "fra", nil, "get", "cluster", cluster, "-o", "yaml").Out, "reason: Reached")
	}
	shows("True")
	c := p.cluster(t, cluster)
	if err := c.Kill(testbed.APIServer); err != nil {
		t.Fatal(err)
	}
	shows("False")
	if err := c.Start(t.Context(), testbed.APIServer); err != nil {
		t.Fatal(err)
	}
	shows("True")
}

// kubeconfig is an admin's, as hanse prints it beside a member.
func (f *field) kubeconfig(t *testing.T, cluster string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(f.must(t, cluster, nil, "kubeconfig").Out), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// person lets somebody in with a role, and gives them a kubeconfig like another one.
func (f *field) person(t *testing.T, like, name, role string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".pem")
	if err := agent.NewPerson(nil, file, name); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key := split(text)
	block, _ := pem.Decode(certificate)
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	pin := v1alpha1.PinOf(parsed.RawSubjectPublicKeyInfo)
	f.must(t, "fra", []byte(fmt.Sprintf("{apiVersion: fleet.hanse.dev/v1alpha1, kind: User, metadata: {name: %s}, spec: {pin: %q, role: %s}}", name, pin, role)), "apply", "-f", "-")
	config, err := clientcmd.LoadFromFile(like)
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range config.AuthInfos {
		who.ClientCertificateData, who.ClientKeyData = certificate, key
	}
	out := filepath.Join(t.TempDir(), name)
	if err := clientcmd.WriteToFile(*config, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func split(text []byte) (certificate, key []byte) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			certificate = pem.EncodeToMemory(block)
		} else {
			key = pem.EncodeToMemory(block)
		}
	}
	return certificate, key
}

// podIn puts a node into a cluster whose kubelet is this test, and a pod on it. What is sent to the channel is logged by the pod.
func (f *field) podIn(t *testing.T, cluster string) chan<- string {
	t.Helper()
	lines := make(chan string)
	kubelet := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Get("command") == "sh":
			echoes(t, w)
			return
		case strings.HasPrefix(r.URL.Path, "/exec/"), strings.HasPrefix(r.URL.Path, "/portForward/"):
			streams(t, w, r)
			return
		}
		for {
			http.NewResponseController(w).Flush()
			select {
			case line := <-lines:
				fmt.Fprintln(w, line)
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(func() { kubelet.CloseClientConnections(); kubelet.Close() })
	address := kubelet.Listener.Addr().(*net.TCPAddr)
	client := f.kubernetes(t, cluster)
	_, err := client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "worker"}}, metav1.CreateOptions{})
	if err == nil {
		status := fmt.Sprintf(`{"status":{"addresses":[{"type":"InternalIP","address":%q}],"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}}}}`, address.IP, address.Port)
		_, err = client.CoreV1().Nodes().Patch(t.Context(), "worker", types.MergePatchType, []byte(status), metav1.PatchOptions{}, "status")
	}
	if err != nil {
		t.Fatal(err)
	}
	no := false
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{NodeName: "worker", AutomountServiceAccountToken: &no, Containers: []corev1.Container{{Name: "app", Image: "app"}}},
	}
	until(t, 2*time.Minute, func(ctx context.Context) error { // the namespace's service account comes a moment after it
		_, err := client.CoreV1().Pods("default").Create(ctx, pod, metav1.CreateOptions{})
		return err
	})
	running := []byte(`{"status":{"phase":"Running"}}`) // or no port is forwarded
	if _, err := client.CoreV1().Pods("default").Patch(t.Context(), "web", types.MergePatchType, running, metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		now := int64(0)
		err := client.CoreV1().Pods("default").Delete(context.Background(), "web", metav1.DeleteOptions{GracePeriodSeconds: &now})
		if err := errors.Join(err, client.CoreV1().Nodes().Delete(context.Background(), "worker", metav1.DeleteOptions{})); err != nil {
			t.Error(err)
		}
	})
	return lines
}

// audited is an error unless a cluster has written down that somebody asked for a pod.
func (f *field) audited(t *testing.T, cluster, who, pod, subresource string) error {
	log, err := os.ReadFile(f.cluster(t, cluster).AuditLog())
	if err != nil {
		return err
	}
	for line := range bytes.Lines(log) {
		var e struct {
			ImpersonatedUser struct {
				Username string
				Groups   []string
			}
			ObjectRef struct{ Name, Subresource string }
		}
		if json.Unmarshal(line, &e) == nil && e.ImpersonatedUser.Username == who && e.ObjectRef.Name == pod && e.ObjectRef.Subresource == subresource {
			return nil
		}
	}
	return fmt.Errorf("%s is not in the audit log of %s", who, cluster)
}
