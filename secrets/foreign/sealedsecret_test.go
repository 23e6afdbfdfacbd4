package foreign

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func sealedObject(t *testing.T, name string) map[string]any {
	t.Helper()
	text := file(t, "sealedsecrets", name)
	return ofYAMLText(t, text)
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func TestWhatKubesealSealedOpensAsItWas(t *testing.T) {
	k := keys(t, "sealedsecrets/keys.yaml")
	want := map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": true, "metadata": map[string]any{"namespace": "shop", "name": "db"},
		"data": map[string]any{"user": b64("anna"), "password": b64("canary-4711"), "raw": "/wAB/g=="},
	}
	for _, name := range []string{"strict.yaml", "namespace-wide.yaml", "cluster-wide.yaml", "json.json"} {
		object := sealedObject(t, name)
		if !IsSealedSecret(object) {
			t.Errorf("%s is not known as one", name)
		}
		got, err := k.Unseal(object)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func set(object map[string]any, value any, path ...string) map[string]any {
	at := object
	for _, step := range path[:len(path)-1] {
		next, ok := at[step].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[step] = next
		}
		at = next
	}
	at[path[len(path)-1]] = value
	return object
}

func TestASealedSecretOpensWhereItsScopeSays(t *testing.T) {
	k := keys(t, "sealedsecrets/keys.yaml")
	for _, tt := range []struct {
		file, field, value string
		opens              bool
	}{
		{"strict.yaml", "name", "api", false},
		{"strict.yaml", "namespace", "mine", false},
		{"namespace-wide.yaml", "name", "api", true},
		{"namespace-wide.yaml", "namespace", "mine", false},
		{"cluster-wide.yaml", "name", "api", true},
		{"cluster-wide.yaml", "namespace", "mine", true},
	} {
		got, err := k.Unseal(set(sealedObject(t, tt.file), tt.value, "metadata", tt.field))
		if (err == nil) != tt.opens {
			t.Errorf("%s as %s: %v", tt.file, tt.value, err)
		}
		if err == nil && got["metadata"].(map[string]any)[tt.field] != tt.value {
			t.Errorf("%s as %s is %v", tt.file, tt.value, got["metadata"])
		}
	}
}

func TestWhatTheTemplateSaysInTheClearIsTaken(t *testing.T) {
	k := keys(t, "sealedsecrets/keys.yaml")
	object := set(sealedObject(t, "strict.yaml"), "plain", "spec", "template", "data", "host")
	set(object, nil, "spec", "template", "data", "raw")
	set(object, "not this", "spec", "template", "data", "user")
	got, err := k.Unseal(object)
	want := map[string]any{"user": b64("anna"), "password": b64("canary-4711"), "host": b64("plain")}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got["data"]); diff != "" {
		t.Error(diff)
	}
}

func TestWhatTheControllerWouldNotOpenIsRefused(t *testing.T) {
	k := keys(t, "sealedsecrets/keys.yaml")
	sealed := sealedObject(t, "strict.yaml")["spec"].(map[string]any)["encryptedData"].(map[string]any)["password"].(string)
	good := func() map[string]any { return sealedObject(t, "strict.yaml") }
	for name, tt := range map[string]struct {
		object map[string]any
		keys   Keys
		why    string
	}{
		"no key":           {good(), keys(t, "sops/age.key"), "with the keys of the controller, which --identity names"},
		"another key":      {good(), keys(t, "sealedsecrets/b.pem"), "none of the 1 keys opens it for Secret shop/db alone (strict)"},
		"the first format": {set(good(), "YQ==", "spec", "data"), k, "the first format of Sealed Secrets"},
		"a template":       {set(good(), "x {{ .password }} canary-4711", "spec", "template", "data", "url"), k, "spec.template.data.url is composed by a template"},
		"no base64":        {set(good(), "canary-4711", "spec", "encryptedData", "password"), k, "spec.encryptedData.password: it is not base64"},
		"too short":        {set(good(), "AA==", "spec", "encryptedData", "password"), k, "none of the 2 keys"},
		"a part":           {set(good(), sealed[:200], "spec", "encryptedData", "password"), k, "none of the 2 keys"},
		"a byte otherwise": {set(good(), flipped(t, sealed), "spec", "encryptedData", "password"), k, "none of the 2 keys"},
		"no text":          {set(good(), 4711, "spec", "encryptedData", "password"), k, "a field is not of its type"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tt.keys.Unseal(tt.object)
			if err == nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("the error is %v", err)
			}
			if strings.Contains(fmt.Sprint(err), canary) {
				t.Errorf("the error tells the value: %v", err)
			}
		})
	}
}

func flipped(t *testing.T, sealed string) string {
	t.Helper()
	bytes, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		t.Fatal(err)
	}
	bytes[len(bytes)-1] ^= 1
	return base64.StdEncoding.EncodeToString(bytes)
}

// FuzzHybrid: what a key opens was sealed for it, and nothing makes it fall over.
func FuzzHybrid(f *testing.F) {
	key := keys(f, "sealedsecrets/keys.yaml").rsas[0]
	f.Add([]byte{})
	f.Add([]byte{0, 0})
	f.Add([]byte{1, 0, 7})
	f.Add(make([]byte, 2+key.Size()+16))
	f.Add(append(binary.BigEndian.AppendUint16(nil, uint16(key.Size())), make([]byte, key.Size()+16)...))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if _, err := hybrid(key, nil, sealed); err == nil {
			t.Error("what nobody sealed opens")
		}
	})
}

// FuzzUnseal: a SealedSecret as a person hands it over is refused, or becomes a Secret, and no error has what is in it.
func FuzzUnseal(f *testing.F) {
	k := keys(f, "sealedsecrets/keys.yaml")
	for _, name := range []string{"strict.yaml", "namespace-wide.yaml", "cluster-wide.yaml", "json.json"} {
		f.Add(file(f, "sealedsecrets", name))
	}
	f.Add([]byte("spec: {template: {data: {a: null, b: '{{'}}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var object map[string]any
		if yaml.Unmarshal(text, &object) != nil || object == nil {
			return
		}
		secret, err := k.Unseal(object)
		if err == nil && secret["kind"] != "Secret" {
			t.Error("it becomes no Secret")
		}
		if err != nil && !strings.Contains(string(text), canary) && strings.Contains(err.Error(), canary) {
			t.Errorf("the error tells the value: %v", err)
		}
	})
}
