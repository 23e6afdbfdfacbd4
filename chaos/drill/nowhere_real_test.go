package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/canary"
	"github.com/hanse-fleet/hanse/chaos/testbed"
	"github.com/hanse-fleet/hanse/secrets"
)

// mustBeNowhere are the sealed value and the keys of its group, the present one and those before it, which one who has fra's data directory can get at.
func (f *field) mustBeNowhere(t *testing.T) map[string][]byte {
	t.Helper()
	var g v1alpha1.RecipientGroup
	if err := json.Unmarshal([]byte(f.must(t, "fra", nil, "get", "recipientgroup", "readers", "-o", "json").Out), &g); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(f.cluster(t, "fra").DataDir(), "age.key"))
	if err != nil {
		t.Fatal(err)
	}
	own, err := secrets.ParseIdentity(strings.TrimSpace(string(text[bytes.IndexByte(text, '\n'):])))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]byte{}
	key := func(with secrets.Identity, epoch int64, recipient string, wrap []byte) secrets.Identity {
		t.Helper()
		key, err := secrets.Unwrap(with, secrets.Key{Fleet: "acme", Group: g.Name, Epoch: epoch}, recipient, wrap)
		if err != nil {
			t.Fatal(err)
		}
		parts, err := canary.Identity(fmt.Sprintf("the group's key %d", epoch), key.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(values, parts)
		return key
	}
	last := key(own, g.Status.Epoch, g.Status.Recipient, g.WrapFor("fra", own.Recipient().String()))
	for _, f := range slices.Backward(g.Status.Former) {
		last = key(last, f.Epoch, f.Recipient, f.Key)
	}
	if len(g.Status.Former) == 0 {
		t.Error("the group has had one key only")
	}
	values["the value"] = []byte(password)
	return values
}

// nowhere searches all that the programs of the fleet and its clusters have written or say: all but etcd of the group's clusters, where
// the value must be. That snapshots have nothing of it is chaos/sim's to try, where they are made early.
func (f *field) nowhere(t *testing.T, finder *canary.Finder) {
	t.Helper()
	begun := time.Now()
	var keep []string
	for _, name := range []string{"fra", "iad"} {
		etcd := filepath.Join(f.bed.Dir(), name, "etcd")
		found, err := finder.Files(etcd)
		if err != nil || len(found) == 0 {
			t.Fatalf("it is not even found in etcd of %s, where it must be: %v", name, err)
		}
		if bad := slices.DeleteFunc(found, func(what string) bool { return strings.Contains(what, "the value") }); len(bad) > 0 {
			t.Errorf("etcd of %s has more than the value: %q", name, bad)
		}
		keep = append(keep, etcd)
	}
	found, err := finder.Files(f.bed.Dir(), keep...) // data directories, snapshots in them, all logs, etcd outside of the group
	if err != nil {
		t.Fatal(err)
	}
	said := map[string][]byte{"a backup": f.opened(t)}
	for _, c := range f.bed.Clusters() {
		events, err := f.kubernetes(t, c.Name()).CoreV1().Events("").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if said["events in "+c.Name()], err = json.Marshal(events); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range f.bed.Clusters() { // of the group, and not
		maps.Copy(said, f.answers(t, c.Name()))
	}
	for _, cluster := range []string{"fra", "sin"} {
		maps.Copy(said, f.toldByKubectl(t, cluster))
	}
	for what, has := range map[string]string{"events in fra": "secret.db", "sin /apis/fleet.hanse.dev/v1alpha1/clustermetrics application/json": `"name":"fra"`, "a backup": "fleetsecrets"} {
		if !bytes.Contains(said[what], []byte(has)) {
			t.Errorf("%s, of %d bytes, have nothing of %q", what, len(said[what]), has)
		}
	}
	for what, text := range said {
		for _, how := range finder.In(text) {
			found = append(found, what+": "+how)
		}
	}
	for _, what := range found {
		t.Error(what)
	}
	t.Logf("all files, and %d answers, events and backups, were searched in %s", len(said), round(time.Since(begun)))
}

// opened is the fleet's state as a backup has it, for who has the backup's key.
func (f *field) opened(t *testing.T) []byte {
	t.Helper()
	dir := folder(t)
	key, recipients := ageKey(t, dir)
	file := filepath.Join(dir, "acme.hanse.age")
	f.must(t, "iad", nil, "backup", "-R", recipients, "-o", file)
	sealed, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer sealed.Close()
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := age.Decrypt(sealed, identities...)
	if err != nil {
		t.Fatal(err)
	}
	state, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// toldByKubectl is what the API of a cluster tells of the fleet, to people of each role there.
func (f *field) toldByKubectl(t *testing.T, cluster string) map[string][]byte {
	t.Helper()
	const kinds = "bundlerevisions,bundles,changes,clustermetrics,clusters.fleet.hanse.dev,fleets,fleetsecrets,recipientgroups,rollouts,works"
	said := map[string][]byte{}
	for _, role := range []string{"view", "edit", "admin"} {
		name := "of-" + role
		f.mustKubectl(t, cluster, "", "create", "clusterrolebinding", name, "--clusterrole="+role, "--user="+name)
		for _, asked := range [][]string{{"get", kinds, "-o", "yaml"}, {"get", "users.fleet.hanse.dev", "-o", "yaml"}, {"describe", "fleetsecret,recipientgroup"}} {
			until(t, 2*time.Minute, func(ctx context.Context) error {
				text, err := f.kubectl(ctx, cluster, "", append(asked, "--as="+name)...)
				said[cluster+" to who may "+role+": "+strings.Join(asked, " ")] = []byte(text)
				users := asked[1] == "users.fleet.hanse.dev"
				if refused := users && role != "admin"; refused != (err != nil) || !users && !strings.Contains(text, "vault") {
					return fmt.Errorf("%s is told %s: %w", name, text, err)
				}
				return nil
			})
		}
		f.mustKubectl(t, cluster, "", "delete", "clusterrolebinding", name)
	}
	return said
}

// dump kills a member so that it writes down what all that runs in it was doing, and starts it again.
func (f *field) dump(t *testing.T, cluster string) {
	t.Helper()
	c := f.cluster(t, cluster)
	if err := syscall.Kill(c.Pids()[testbed.Member], syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	until(t, 2*time.Minute, func(context.Context) error {
		if pid, runs := c.Pids()[testbed.Member]; runs {
			return fmt.Errorf("it still runs as %d", pid)
		}
		return nil
	})
	mentions(t, string(f.log(t, cluster)), "SIGQUIT: quit", "goroutine ")
	f.restart(t, cluster)
}

// answers are all that a member answers: each kind, in each form, and what is beside the kinds.
func (f *field) answers(t *testing.T, member string) map[string][]byte {
	t.Helper()
	config := f.seat(t, member).rest()
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	all, err := client.ServerResourcesForGroupVersion(v1alpha1.SchemeGroupVersion.String())
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{v1alpha1.PathStatus, v1alpha1.PathMembers, v1alpha1.PathSurvivor, v1alpha1.PathResume, "/metrics", "/openapi/v2", "/openapi/v3", "/version", "/healthz", "/readyz?verbose", "/livez?verbose"}
	for _, r := range all.APIResources {
		if !strings.Contains(r.Name, "/") && slices.Contains(r.Verbs, "list") {
			paths = append(paths, "/apis/"+v1alpha1.SchemeGroupVersion.String()+"/"+r.Name)
		}
	}
	kinds := "/apis/" + v1alpha1.SchemeGroupVersion.String() + "/"
	const ofSecret = "?fieldSelector=spec.resource%3Dfleetsecrets%2Cspec.name%3Ddb"
	paths = append(paths,
		v1alpha1.PathExposed, v1alpha1.PathExposed+"?cluster=iad", v1alpha1.PathReaders+"?secret=db", v1alpha1.PathSealing+"?secret=db",
		kinds+"fleetsecrets/db", kinds+"recipientgroups/readers", kinds+"changes"+ofSecret,
		// These are refused.
		v1alpha1.PathExposed+"?cluster=nobody", v1alpha1.PathReaders+"?secret=none", v1alpha1.PathSealing+"?secret=none", v1alpha1.PathSecret, v1alpha1.PathTokens,
		kinds+"fleetsecrets/none", kinds+"secrets/db", "/hanse/v1/none")
	var changes v1alpha1.ChangeList
	if err := json.Unmarshal(f.ask(t, config.Dial, kinds+"changes"+ofSecret, "application/json"), &changes); err != nil || len(changes.Items) == 0 {
		t.Errorf("%s tells no history of the secret: %v", member, err)
	}
	for _, c := range changes.Items {
		paths = append(paths, kinds+"changes/"+c.Name, kinds+"changes/"+c.Name+"/before")
	}
	said := map[string][]byte{}
	for _, path := range paths {
		for _, form := range []string{"application/json", "application/yaml", "application/cbor", "application/json;as=Table;v=v1;g=meta.k8s.io"} {
			said[member+" "+path+" "+form] = f.ask(t, config.Dial, path, form)
		}
	}
	for question, has := range map[string]string{
		kinds + "fleetsecrets application/yaml":                   "namespace: vault",
		kinds + "fleetsecrets/none application/json":              "not found",
		v1alpha1.PathExposed + "?cluster=iad application/json":    `"vault"`,
		v1alpha1.PathReaders + "?secret=db application/json":      `"vault"`,
		v1alpha1.PathSealing + "?secret=db application/json":      `"sealing"`,
		v1alpha1.PathExposed + "?cluster=nobody application/json": "is not known",
	} {
		if told := said[member+" "+question]; !bytes.Contains(told, []byte(has)) {
			t.Errorf("%s answers %s with %s", member, question, told)
		}
	}
	return said
}

// ask is what a member answers to one question, whatever it thinks of it.
func (f *field) ask(t *testing.T, dial func(context.Context, string, string) (net.Conn, error), path, form string) []byte {
	t.Helper()
	client := http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}}
	question, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://member.hanse"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	question.Header.Set("Accept", form)
	answer, err := client.Do(question)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
