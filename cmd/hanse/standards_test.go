package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// docs/standards.md makes a key for a tool with openssl, and a User of its pin: what it types is typed here, and what would be
// applied is a User whose pin is that of the certificate as a member computes it.
func TestTheRecipeForAToolsKeyMakesAUserOfItsPin(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("no openssl here: it is the recipe's own tool")
	}
	text, err := os.ReadFile("../../docs/standards.md")
	if err != nil {
		t.Fatal(err)
	}
	var typed []string
	for _, m := range prompted.FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(m[1], "argocd") {
			typed = append(typed, strings.TrimSuffix(m[1], " | hanse apply -f -"))
		}
	}
	if len(typed) != 4 {
		t.Fatalf("the recipe is %q", typed)
	}
	shell := exec.CommandContext(t.Context(), "sh", "-ec", strings.Join(typed, "\n"))
	shell.Dir = t.TempDir()
	out, err := shell.Output()
	if err != nil {
		t.Fatal(err)
	}
	var user v1alpha1.User
	if err := yaml.UnmarshalStrict(out, &user); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	pair, err := readCredential(nil, shell.Dir+"/argocd.pem")
	if err != nil {
		t.Fatal(err)
	}
	if pin, err := pinOf(pair); err != nil || user.Spec.Pin != pin || user.Name != "argocd" || user.Spec.Role != v1alpha1.RoleOperator {
		t.Errorf("%+v, and the pin is %s", user, pin)
	}
}
