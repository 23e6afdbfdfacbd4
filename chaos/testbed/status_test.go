package testbed

import (
	"encoding/json"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheShellGetsOneWordPerVariable(t *testing.T) {
	for name, dir := range map[string]string{
		"a plain path":        "/home/me/hanse/.testbed",
		"spaces":              "/home/me/my clusters",
		"a quote and dollars": "/home/me/it's $HOME `x` \\",
	} {
		t.Run(name, func(t *testing.T) {
			c := lookCluster(dir+"/fra", Site{Name: "fra"})
			out, err := exec.Command("/bin/sh", "-c", c.Env()+`printf '%s\n' "$KUBECONFIG" "$HANSE_SERVER"`).Output()
			if err != nil {
				t.Fatal(err)
			}
			want := c.Kubeconfig() + "\n" + "unix://" + dir + "/fra/hanse/hanse.sock\n"
			if diff := cmp.Diff(want, string(out)); diff != "" {
				t.Error(diff)
			}
		})
	}
	want := "export KUBECONFIG=/t/fra/kubeconfig HANSE_SERVER=unix:///t/fra/hanse/hanse.sock\n"
	if got := lookCluster("/t/fra", Site{Name: "fra"}).Env(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStatusIsAStableContract(t *testing.T) {
	site := Site{Name: "fra", Region: "eu", Address: netip.MustParseAddr("127.1.1.1")}
	bed := &Testbed{dir: "/t", clusters: []*Cluster{lookCluster("/t/fra", site)}}
	got, err := json.Marshal(bed.Status())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"dir":"/t","clusters":[{"name":"fra","region":"eu","kubeconfig":"/t/fra/kubeconfig","server":"https://127.1.1.1:6443","pids":{}}]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestAFolderThatIsTooDeepForASocketIsRefused(t *testing.T) {
	deep := "/" + strings.Repeat("deep/", 20) + "fra"
	if err := lookCluster(deep, Site{Name: "fra"}).checkSocket(); err == nil || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("got %v", err)
	}
	if err := lookCluster("/t/fra", Site{Name: "fra"}).checkSocket(); err != nil {
		t.Error(err)
	}
}
