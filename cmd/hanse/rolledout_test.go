package main

import (
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

var both = []v1alpha1.RolledOut{{Kind: "Bundle", Name: "shop"}, {Kind: "FleetSecret", Name: "db"}}

// fleetWith is a fleet that has something rolled out, and of it a rollout, after one that went through. It takes every write.
type fleetWith struct {
	objects map[string]any // by the path behind apiPath
	mu      sync.Mutex
	asked   []string
}

func newFleetWith(rolled v1alpha1.RolledOut, now v1alpha1.Rollout) *fleetWith {
	meta := func(name string) map[string]any {
		return map[string]any{"name": name, "uid": "u", "generation": 2, "resourceVersion": "9"}
	}
	spec := map[string]any{"group": "readers", "namespace": "shop", "data": "bmV3"}
	was := map[string]any{"manifests": []any{map[string]any{"kind": "FleetSecret", "metadata": map[string]any{"name": "db", "namespace": "shop"},
		"spec": map[string]any{"group": "readers", "namespace": "shop", "data": "b2xk"}}}}
	if !rolled.IsSecret() {
		spec, was = map[string]any{"placement": map[string]any{}}, map[string]any{"manifests": []any{map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a", "namespace": "shop"}}}}
	}
	f := &fleetWith{objects: map[string]any{
		mustKind(rolled.Kind).plural + "/" + rolled.Name: map[string]any{"kind": rolled.Kind, "metadata": meta(rolled.Name), "spec": spec},
		"recipientgroups/readers":                        map[string]any{"metadata": meta("readers"), "spec": map[string]any{"clusterSelector": map[string]any{}}},
		"bundlerevisions/" + rolled.String() + "-u-1":    map[string]any{"metadata": meta("r"), "spec": was},
		"bundlerevisions/" + rolled.String() + "-u-2":    map[string]any{"metadata": meta("r"), "spec": was},
	}}
	for _, r := range ofRolledOut(rolled, now) {
		f.objects["rollouts/"+r.Name] = r
	}
	return f
}

// ofRolledOut are rollouts: a good one, and then the one that is.
func ofRolledOut(rolled v1alpha1.RolledOut, now v1alpha1.Rollout) []v1alpha1.Rollout {
	name := rolled.String()
	good := v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Name: name + "-u-1"}}
	good.Spec = v1alpha1.RolloutSpec{Bundle: name, BundleUID: "u", Revision: name + "-u-1", Generation: 1}
	good.Status.Phase = v1alpha1.RolloutComplete
	now.Name, now.CreationTimestamp = name+"-u-2", metav1.NewTime(time.Unix(1, 0))
	now.Spec.Bundle, now.Spec.BundleUID, now.Spec.Revision, now.Spec.Generation = name, "u", name+"-u-2", 2
	now.Status.Message = strings.ReplaceAll(now.Status.Message, "TITLE", rolled.Title())
	all := []v1alpha1.Rollout{good, now}
	if now.Spec.Undoes != "" {
		failed := now
		failed.Name, failed.Spec.Undoes, failed.Status.Phase = name+"-u-3", "", v1alpha1.RolloutRolledBack
		failed.CreationTimestamp = metav1.NewTime(time.Unix(0, 0))
		all[1].Spec.Undoes = failed.Name
		all = append(all, failed)
	}
	return all
}

func (f *fleetWith) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path, _ := strings.CutPrefix(r.URL.Path, apiPath)
	object, there := f.objects[path]
	plural, name, isOne := strings.Cut(path, "/")
	switch {
	case !isOne:
		items := []any{}
		for _, at := range slices.Sorted(maps.Keys(f.objects)) {
			if strings.HasPrefix(at, plural+"/") && strings.Count(at, "/") == 1 { // else it is a part of one
				items = append(items, f.objects[at])
			}
		}
		answer(w, 200, map[string]any{"kind": "List", "metadata": map[string]any{"resourceVersion": "9"}, "items": items})
	case !there:
		refuse(w, 404, "NotFound", path+" not found", &metav1.StatusDetails{Kind: plural, Name: name})
	case r.Method == "GET":
		answer(w, 200, object)
	default:
		body, _ := io.ReadAll(r.Body)
		f.asked = append(f.asked, r.Method+" "+path+" "+string(body))
		if r.Header.Get("Content-Type") == typeApply && yaml.Unmarshal(body, &object) != nil {
			refuse(w, 400, "BadRequest", "no object", nil)
			return
		}
		if applied, ok := object.(map[string]any); ok {
			maps.Copy(applied["metadata"].(map[string]any), map[string]any{"uid": "u", "generation": 2, "resourceVersion": "9"})
		}
		answer(w, 200, object)
	}
}

// run types a command, and returns what was written because of it.
func (f *fleetWith) run(t *testing.T, args ...string) (code int, out string, written []string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "rolled") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	member := &httptest.Server{Listener: l, Config: &http.Server{Handler: f}}
	member.Start()
	defer member.Close()
	var said bytes.Buffer
	code = run(t.Context(), append([]string{"hanse", "--data-dir", dir}, args...), strings.NewReader(""), &said, &said)
	return code, said.String(), f.asked
}

var command = regexp.MustCompile(`hanse ((?:[a-z][a-z-]*)(?: [A-Za-z0-9./-]+)+)`)

// What is to be done next is said as a command, and works as it is said, of a bundle and of a secret.
func TestWhatIsSaidToBeDoneNextIsDoneByTheCommandLine(t *testing.T) {
	states := map[string]struct {
		rollout v1alpha1.Rollout
		verbs   []string // that are named
	}{
		"failed": {v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutFailed}}, []string{"rollout rollback", "rollout resume", "rollout abort"}},
		"at a gate": {v1alpha1.Rollout{
			Spec:   v1alpha1.RolloutSpec{Gates: []v1alpha1.RolloutGate{{Name: "slo"}}},
			Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutFailed, Gates: []v1alpha1.GateStatus{{Name: "slo"}}}}, []string{"rollout rollback", "rollout resume", "rollout resume", "rollout abort"}},
		"suspended":         {v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutPaused, Reason: v1alpha1.RolloutSuspended}}, []string{"unsuspend"}},
		"at a domain":       {v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{Waves: []v1alpha1.Wave{{Domain: "us"}}}, Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutPaused, Wait: &v1alpha1.RolloutWait{For: v1alpha1.WaitForApproval, Domain: "us"}}}, []string{"rollout approve"}},
		"a cluster is lost": {v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutRunning, Reason: v1alpha1.RolloutClusterLost, Blocked: "iad"}}, []string{"rollout resume", "rollout abort"}},
		"paused":            {v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutPaused}}, []string{"rollout resume"}},
		"aborted":           {v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutAborted}}, []string{"rollout rollback", "rollout resume"}},
		"undoes":            {v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{Undoes: "it"}, Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutComplete}}, []string{"rollout rollback", "rollout resume"}},
		"would delete":      {v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutPaused, Deletions: &v1alpha1.RolloutDeletions{}}}, []string{"rollout approve", "rollout approve", "rollout status", "rollout status"}},
		"at a stage": {v1alpha1.Rollout{
			Spec:   v1alpha1.RolloutSpec{Stages: []v1alpha1.RolloutStage{{Name: "prod"}}},
			Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutPaused, Wait: &v1alpha1.RolloutWait{For: v1alpha1.WaitForApproval, Stage: "prod"}}}, []string{"rollout approve"}},
	}
	for _, rolled := range both {
		for state, c := range states {
			t.Run(rolled.Title()+" "+state, func(t *testing.T) {
				all := ofRolledOut(rolled, c.rollout)
				text := rolloutNext(&all[1], all) + "\n" + undoneText(&all[1], all)
				if all[1].Status.Deletions != nil {
					for _, said := range []error{heldBack(&all[1]), noGate(&all[1], "slo"), noGate(&all[1], "slo")} {
						for _, h := range said.(*failure).hints {
							text += "\nhanse " + h.command
						}
					}
				}
				named := command.FindAllStringSubmatch(text, -1)
				if len(named) != len(c.verbs) {
					t.Fatalf("%d commands are named, not %q:\n%s", len(named), c.verbs, text)
				}
				for i, m := range named {
					if !strings.HasPrefix(m[1], c.verbs[i]+" ") {
						t.Errorf("%q is named, not %s", m[1], c.verbs[i])
					}
					works(t, rolled, c.rollout, m[1])
				}
			})
		}
	}
}

// works runs a command, which must be about what is rolled out and, unless it only looks, write to it or to its rollout.
func works(t *testing.T, rolled v1alpha1.RolledOut, now v1alpha1.Rollout, command string) {
	t.Helper()
	args := strings.Fields(command)
	if strings.HasSuffix(command, " --deletions") {
		args = append(args, "--yes") // nobody is there to ask
	}
	code, out, written := newFleetWith(rolled, now).run(t, args...)
	if strings.HasPrefix(command, "rollout status") || strings.HasPrefix(command, "history") || strings.HasPrefix(command, "explain") {
		if code == exitUsage || strings.Contains(out, "not found") || strings.Contains(out, "has no rollout") {
			t.Errorf("%s: exit %d: %s", command, code, out)
		}
		return
	}
	of := func(w string) bool {
		return strings.Contains(w, " "+mustKind(rolled.Kind).plural+"/"+rolled.Name+" ") || strings.Contains(w, " rollouts/"+rolled.String()+"-u-")
	}
	if code != exitOK || !slices.ContainsFunc(written, of) {
		t.Errorf("%s: exit %d, wrote %q: %s", command, code, written, out)
	}
}

// What members and the leader say names commands as well. The table has every one of them that names what is rolled out, so that one that
// is new is looked at.
func TestWhatMembersSayToBeDoneIsDoneByTheCommandLine(t *testing.T) {
	stored, arg := v1alpha1.RolledOut.String, v1alpha1.RolledOut.Arg
	newest := func(r v1alpha1.RolledOut) string { return r.String() + "-u-2" }
	paused := v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{Stages: []v1alpha1.RolloutStage{{Name: "prod"}}}}
	paused.Status = v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutPaused, Deletions: &v1alpha1.RolloutDeletions{}}
	said := map[string]func(v1alpha1.RolledOut) string{
		"rollout status %s": stored, "rollout approve %s --deletions": newest, "rollout approve %s %s": newest, "rollout resume %s": newest, "explain %s": stored,
		"unsuspend %s": arg, "delete %s": arg,
	}
	others := []string{ // of clusters, members and the fleet
		"is too old for the state in %s",
		"unsuspend cluster %[1]s", "recover %s", "agent %s", "remove %s", "remove %s does both", "resume %s", "resume --show %s",
		"token create --cluster %s", "token create --cluster %[1]s %[3]s", "token create --cluster %s --replace", "token create --cluster %s there", "seal --group %[1]s", "seal --group %s",
	}
	found := map[string]bool{}
	for _, room := range []string{"agent", "apiserver", "epoch", "law", "plan", "reconcile"} {
		files, err := filepath.Glob("../../" + room + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s: %v", room, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, m := range template.FindAllSubmatch(text, -1) {
				is := strings.TrimSpace(string(m[1]))
				if found[is] = true; said[is] == nil && !slices.Contains(others, is) {
					t.Errorf("%s says: hanse %s; put it into the table", file, is)
				}
			}
		}
	}
	for is, name := range said {
		if !found[is] {
			t.Errorf("nobody says %q", is)
		}
		for _, rolled := range both {
			works(t, rolled, paused, strings.Replace(strings.Replace(is, "%s", name(rolled), 1), "%s", "prod", 1))
		}
	}
}

var template = regexp.MustCompile("hanse ([a-z][a-z -]*%(?:\\[1\\])?[sq][^\"`;,:)\\n]*)")

// A secret gets back what its last good revision has, sealed as it was.
func TestASecretIsRolledBack(t *testing.T) {
	failed := v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutFailed}}
	for _, typed := range []string{"secret.db", "fleetsecret/db", "fs/db", "secret.db-u-2"} {
		code, out, written := newFleetWith(both[1], failed).run(t, "rollout", "rollback", typed)
		if code != exitOK || !strings.Contains(out, "secret db has the content of secret.db-u-1 at revision 9") || !strings.Contains(written[len(written)-1], `"data":"b2xk"`) {
			t.Errorf("%s: exit %d, wrote %q: %s", typed, code, written, out)
		}
	}
	f := newFleetWith(both[1], failed)
	delete(f.objects, "rollouts/secret.db-u-1")
	if code, out, _ := f.run(t, "rollout", "rollback", "secret.db"); code != exitError || !strings.Contains(out, "hanse history fleetsecret/db") || strings.Contains(out, "--to") {
		t.Errorf("without a good one: exit %d: %s", code, out)
	}
	changed := remembered("8", "u", 0, v1alpha1.ChangeUpdate)
	changed.Name = "8"
	f.objects["changes/5"], f.objects["changes/8"] = remembered("5", "u", 0, v1alpha1.ChangeCreate), changed
	f.objects["changes/8/before"] = map[string]any{"metadata": map[string]any{"name": "8"}, "spec": map[string]any{"before": map[string]any{"spec": map[string]any{"group": "readers", "data": "b2xk"}}}}
	if _, out, _ := f.run(t, "rollout", "rollback", "secret.db"); !strings.Contains(out, "hanse rollback fleetsecret/db --to 5\n") {
		t.Errorf("what it said before: %s", out)
	}
}

// A rollout is watched until it goes no further by itself, and no newer one is to come.
func TestARolloutIsWatchedUntilItGoesNoFurther(t *testing.T) {
	stopped := v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutFailed, Stops: 1}}
	takes := v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{Undoes: "it"}, Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutComplete}}
	resumed := stopped
	resumed.Spec.Orders.Resumed = 1
	for name, tt := range map[string]struct {
		rollout    v1alpha1.Rollout
		generation int
		code       int
		goesOn     bool
	}{
		"went through":                    {v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutComplete}}, 2, exitOK, false},
		"stopped":                         {stopped, 2, exitDiffers, false},
		"stopped, and resumed":            {resumed, 2, exitDiffers, true},
		"stopped, and a newer is to come": {stopped, 3, exitDiffers, true},
		"aborted":                         {v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{Orders: v1alpha1.RolloutOrders{Aborted: true}}, Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutAborted}}, 2, exitDiffers, false},
		"takes a change back":             {takes, 2, exitDiffers, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleetWith(both[0], tt.rollout)
			f.objects["bundles/shop"].(map[string]any)["metadata"].(map[string]any)["generation"] = tt.generation
			args := []string{"rollout", "status", "shop", "--watch"}
			if tt.goesOn {
				args = append(args, "--timeout", "1s")
			}
			code, out, _ := f.run(t, args...)
			if code != tt.code || strings.Contains(out, "has not ended after 1 s") != tt.goesOn {
				t.Errorf("exit %d: %s", code, out)
			}
		})
	}
}

// Who waits for a secret waits for the clusters of its group, and is told when they do not get it.
func TestASecretIsWaitedFor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "db.yaml")
	text := `{"apiVersion": "fleet.hanse.dev/v1alpha1", "kind": "FleetSecret", "metadata": {"name": "db"}, "spec": {"group": "readers", "namespace": "shop", "data": "bmV3"}}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	fleet := func(phase v1alpha1.RolloutPhase, applied string) *fleetWith {
		f := newFleetWith(both[1], v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Phase: phase, Stops: 1, Message: "it fails in fra"}})
		f.objects["clusters/fra"] = v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "fra"}}
		w := v1alpha1.Work{Spec: v1alpha1.WorkSpec{Bundle: "secret.db", Cluster: "fra", Wanted: "secret.db-u-2", Granted: applied}}
		w.Status.Applied, w.Status.Health = applied, v1alpha1.HealthReady
		f.objects["works/secret.db.fra"] = w
		return f
	}
	if code, out, _ := fleet(v1alpha1.RolloutComplete, "secret.db-u-2").run(t, "apply", "--wait", "-f", file); code != exitOK || !strings.Contains(out, "\nfra ") {
		t.Errorf("it runs: exit %d: %s", code, out)
	}
	code, out, _ := fleet(v1alpha1.RolloutFailed, "secret.db-u-1").run(t, "apply", "--wait", "-f", file)
	if code != exitDiffers || !strings.Contains(out, "apply secret.db: not there in fra") || !strings.Contains(out, "hanse rollout status secret.db") {
		t.Errorf("it stopped: exit %d: %s", code, out)
	}
}

// What a secret is in a cluster only its member can compare; it says so, and nothing of it is asked from here.
func TestDriftOfASecretIsWhatItsClustersSay(t *testing.T) {
	var out bytes.Buffer
	d := &drifting{unknown: map[string]bool{}, asked: map[string]bool{}}
	d.c = cli.NewContext(&cli.App{Writer: &out}, nil, nil)
	b := v1alpha1.Bundle{ObjectMeta: metav1.ObjectMeta{Name: "secret.db"}}
	work := func(cluster string, corrected int64, drifted int32) v1alpha1.Work {
		w := v1alpha1.Work{Spec: v1alpha1.WorkSpec{Bundle: b.Name, Cluster: cluster, Granted: "secret.db-u-1"}}
		w.Status.DriftCorrected, w.Status.Drifted = corrected, drifted
		return w
	}
	works := map[string]v1alpha1.Work{"fra": work("fra", 1, 0), "iad": work("iad", 0, 0), "sin": work("sin", 0, 0)}
	look := func() error {
		if err := d.look(t.Context(), b, works, []string{"fra", "iad"}); err != nil {
			t.Fatal(err)
		}
		return d.tell(time.Now())
	}
	if err := look(); err != nil || strings.Join(strings.Fields(out.String()), " ") != "as granted in 2 clusters put right fra secret.db once" {
		t.Errorf("%v: %s", err, &out)
	}
	out.Reset()
	works["iad"] = work("iad", 0, 1)
	if err := look(); err == nil || !strings.HasPrefix(out.String(), "secret.db: not as granted in iad, as the cluster says: it is sealed\n") {
		t.Errorf("%v: %s", err, &out)
	}
}
