package foreign

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/hanse-fleet/hanse/secrets/foreign/foreigntest"
)

// canary begins what must be in no error.
const canary = "canary-47"

func file(_ testing.TB, name ...string) []byte { return foreigntest.File(strings.Join(name, "/")) }

func keys(t testing.TB, names ...string) (k Keys) {
	t.Helper()
	for _, name := range names {
		if err := k.Add(file(t, strings.Split(name, "/")...)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return k
}

// ofYAMLText is what a text says, as JSON decodes it.
func ofYAMLText(t *testing.T, text []byte) (object map[string]any) {
	t.Helper()
	raw, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	return asJSON(t, json.RawMessage(raw))
}

func asJSON(t *testing.T, value any) (object map[string]any) {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &object); err != nil {
		t.Fatal(err)
	}
	return object
}

func TestWhatSopsEncryptedOpensAsItWas(t *testing.T) {
	was := ofYAMLText(t, []byte(foreigntest.Plain))
	inJSON := asJSON(t, was)
	delete(inJSON["metadata"].(map[string]any), "labels")
	delete(inJSON["stringData"].(map[string]any), "port")
	delete(inJSON["stringData"].(map[string]any), "empty")
	for name, tt := range map[string]struct {
		key  string
		want map[string]any
	}{
		"regex.yaml": {"age.key", was}, "unregex.yaml": {"age.key", was}, "suffix.yaml": {"age.key", was}, "unsuffix.yaml": {"age.key", was},
		"whole.yaml": {"age.key", was}, "maconly.yaml": {"age.key", was}, "pq.yaml": {"agepq.key", was}, "two-keys.yaml": {"agepq.key", was},
		"json.json": {"age.key", inJSON}, "whole.json": {"age.key", inJSON},
	} {
		t.Run(name, func(t *testing.T) {
			text := file(t, "sops", name)
			if !IsSOPS(text) {
				t.Error("it is not known as one of SOPS")
			}
			opened, err := keys(t, "sops/other.key", "sops/"+tt.key).OpenSOPS(text)
			if err != nil || len(opened) != 1 {
				t.Fatalf("it has %d objects, %v", len(opened), err)
			}
			if diff := cmp.Diff(tt.want, asJSON(t, opened[0])); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEachDocumentAndItemOfAFileOfSopsIsOpened(t *testing.T) {
	k := keys(t, "sops/age.key")
	opened, err := k.OpenSOPS(file(t, "sops", "several.yaml"))
	if err != nil || len(opened) != 2 {
		t.Fatalf("it has %d objects, %v", len(opened), err)
	}
	if got := opened[1]["stringData"].(map[string]any)["token"]; got != "canary-4712" {
		t.Error("the second is otherwise")
	}
	opened, err = k.OpenSOPS(file(t, "sops", "list.yaml"))
	if err != nil || len(opened) != 1 || len(opened[0]["items"].([]any)) != 2 {
		t.Fatalf("the list has %d objects, %v", len(opened), err)
	}
	item := opened[0]["items"].([]any)[0].(map[string]any)
	want := []any{"a", int64(1), 2.5, true, 1000.0, "2001-12-14T21:59:43.1-05:00", nil}
	if diff := cmp.Diff(want, item["list"]); diff != "" {
		t.Error(diff)
	}
}

// replaced is a text with one part of it another.
func replaced(t *testing.T, text []byte, part, by string) []byte {
	t.Helper()
	if !bytes.Contains(text, []byte(part)) {
		t.Fatalf("there is no %q", part)
	}
	return bytes.Replace(text, []byte(part), []byte(by), 1)
}

// line is the whole line of a field.
func line(t *testing.T, text []byte, field string) string {
	t.Helper()
	for l := range strings.Lines(string(text)) {
		if strings.HasPrefix(strings.TrimSpace(l), field+":") {
			return l
		}
	}
	t.Fatalf("there is no %s", field)
	return ""
}

func TestWhatSopsWouldNotOpenIsRefused(t *testing.T) {
	good, k := file(t, "sops", "regex.yaml"), keys(t, "sops/age.key")
	user, password := line(t, good, "user"), line(t, good, "password")
	_, userValue, _ := strings.Cut(user, ": ")
	_, passwordValue, _ := strings.Cut(password, ": ")
	other := file(t, "sops", "maconly.yaml")
	fakeKMS := func(name string) []byte {
		text := replaced(t, good, "    age:\n", "    "+name+":\n        - {arn: canary-4711, enc: canary-4711}\n    gone:\n")
		return text
	}
	for name, tt := range map[string]struct {
		text []byte
		keys Keys
		why  string
	}{
		"no key":                 {good, Keys{}, "no age key is given: --identity FILE"},
		"another key":            {good, keys(t, "sops/other.key"), "none of the age keys that are given opens it; it is encrypted to age12eaem8xd5vaz8y3l…"},
		"for KMS alone":          {fakeKMS("kms"), k, "not encrypted to age keys, but to AWS KMS, which only sops asks"},
		"for PGP alone":          {fakeKMS("pgp"), k, "not encrypted to age keys, but to PGP"},
		"for nobody":             {replaced(t, good, "    age:\n", "    gone:\n"), k, "but to nobody"},
		"in parts":               {replaced(t, good, "    age:\n", "    key_groups:\n        - age: []\n    age:\n"), k, "in parts (key_groups)"},
		"by comments":            {file(t, "sops", "comment.yaml"), k, "comments say which of its values are encrypted"},
		"two rules":              {replaced(t, good, "    encrypted_regex:", "    encrypted_suffix: a\n    encrypted_regex:"), k, "more than one rule"},
		"no expression":          {replaced(t, good, "^(data|stringData)$", "'('"), k, "is no expression"},
		"a value in the clear":   {replaced(t, good, passwordValue, "canary-4711\n"), k, "stringData.password is to be encrypted by SOPS, and is not"},
		"a number in the clear":  {replaced(t, good, passwordValue, "4711\n"), k, "stringData.password is to be encrypted, and is not"},
		"values exchanged":       {replaced(t, replaced(t, replaced(t, good, userValue, "X\n"), passwordValue, userValue), "X\n", passwordValue), k, "was moved there from another field"},
		"a value taken out":      {replaced(t, good, password, ""), k, "changed without sops"},
		"a value emptied":        {replaced(t, good, passwordValue, "\"\"\n"), k, "changed without sops"},
		"what is clear changed":  {replaced(t, good, "namespace: shop", "namespace: mine"), k, "changed without sops"},
		"what is clear added":    {replaced(t, good, "type: Opaque", "type: Opaque\nmore: a"), k, "changed without sops"},
		"in another order":       {replaced(t, replaced(t, good, user, ""), password, password+user), k, "changed without sops"},
		"the MAC of another":     {replaced(t, good, line(t, good, "mac"), line(t, other, "mac")), k, "sops.mac is damaged"},
		"no MAC":                 {replaced(t, good, line(t, good, "mac"), "    mac: \"\"\n"), k, "changed without sops"},
		"a MAC in the clear":     {replaced(t, good, line(t, good, "mac"), "    mac: canary-4711\n"), k, "sops.mac is to be encrypted"},
		"another time":           {replaced(t, good, "lastmodified: \"20", "lastmodified: \"21"), k, "sops.mac is damaged"},
		"no time":                {replaced(t, good, line(t, good, "lastmodified"), "    lastmodified: canary-4711\n"), k, "sops.lastmodified is no time"},
		"only the encrypted MAC": {replaced(t, good, "    encrypted_regex:", "    mac_only_encrypted: true\n    encrypted_regex:"), k, "changed without sops"},
		"a field twice":          {replaced(t, good, user, user+user), k, "each field once"},
		"an alias":               {replaced(t, good, "shop", "&canary-4711 shop\n    a: *canary-4711"), k, "without aliases"},
		"odd metadata":           {replaced(t, good, "    age:\n", "    age: canary-4711\n    gone:\n"), k, "cannot be read"},
		"a type of its own":      {replaced(t, good, line(t, good, "port"), strings.Replace(line(t, good, "port"), "type:str", "type:canary", 1)), k, "of a type that is not understood"},
		"a value of no type":     {replaced(t, good, password, strings.Replace(password, "type:str", "type:int", 1)), k, "stringData.password is not of its type"},
		"a second without sops":  {append([]byte("a: b\n---\n"), good...), k, "its first document is not one"},
		"no YAML":                {[]byte("sops: {mac: [canary-4711"), k, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			opened, err := tt.keys.OpenSOPS(tt.text)
			if err == nil || opened != nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("the error is %v", err)
			}
			if strings.Contains(fmt.Sprint(err), canary) {
				t.Errorf("the error tells the value: %v", err)
			}
		})
	}
}

func TestWhatIsNotOfSopsIsNotTakenForIt(t *testing.T) {
	for _, text := range []string{"", "a: b", "sops: mac", "sops: {max: 1}", "kind: Secret\nstringData: {a: 'sops: {mac: 1}'}", "{", "sops: {mac: ["} {
		if IsSOPS([]byte(text)) {
			t.Errorf("%q is", text)
		}
	}
}

func TestWhatIsVeryDeepOrVeryLongIsReadOrRefused(t *testing.T) {
	const many = 4_000_000
	deep := func(begin, each string) []byte { return []byte(begin + strings.Repeat(each, many)) }
	for name, text := range map[string][]byte{
		"lists":                deep(`{"sops":{"mac":1},"a":`, "["),
		"mappings":             deep(`{"sops":{"mac":1},"a":`, `{"a":`),
		"lists in YAML":        deep("sops: {mac: 1}\na: ", "["),
		"mappings in YAML":     deep("sops: {mac: 1}\na: ", "{a: "),
		"lists of YAML's own":  deep("sops: {mac: 1}\na: ", "- "),
		"65 lists, all closed": []byte(`{"sops":{"mac":1},"a":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + "}"),
	} {
		if IsSOPS(text) {
			t.Errorf("%s are taken for what SOPS wrote", name)
		}
		if _, err := (Keys{}).OpenSOPS(text); err == nil {
			t.Errorf("%s open", name)
		}
	}
	if text := `{"sops":{"mac":1},"a":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + "}"; !IsSOPS([]byte(text)) {
		t.Error("63 lists are refused")
	}
	var wide bytes.Buffer // a mapping that looks for each of its keys in all others takes hours for them
	for i := range 1_000_000 {
		fmt.Fprintf(&wide, `"%d":0,`, i)
	}
	if !IsSOPS([]byte("{" + wide.String() + `"sops":{"mac":1}}`)) {
		t.Error("a mapping with many keys is refused")
	}
}

// TestTheCipherIsTheOneOfItsStandard: a value of the format that SOPS describes, made without this package's code.
func TestTheCipherIsTheOneOfItsStandard(t *testing.T) {
	f := &sopsFile{key: bytes.Repeat([]byte{7}, 32)}
	for kind, want := range map[string]any{"str": "12", "int": 12, "float": 12.0, "bytes": "12"} {
		if got, err := f.open(sopsValue(t, f.key, "12", kind, "a:b:"), "a:b:"); err != nil || got != want {
			t.Errorf("%s: %v, %v", kind, got, err)
		}
	}
	if _, err := f.open(sopsValue(t, f.key, "12", "str", "a:b:"), "a:c:"); err == nil {
		t.Error("it opens where it does not stand")
	}
}

func sopsValue(t testing.TB, key []byte, text, kind, beside string) string {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCMWithNonceSize(block, 32)
	if err != nil {
		t.Fatal(err)
	}
	iv := bytes.Repeat([]byte{9}, 32)
	sealed := gcm.Seal(nil, iv, []byte(text), []byte(beside))
	b64 := base64.StdEncoding.EncodeToString
	end := len(sealed) - gcm.Overhead()
	return fmt.Sprintf("ENC[AES256_GCM,data:%s,iv:%s,tag:%s,type:%s]", b64(sealed[:end]), b64(iv), b64(sealed[end:]), kind)
}

// FuzzOpenSOPS: a file that was tampered with is refused, without a word of what is in it.
func FuzzOpenSOPS(f *testing.F) {
	k := keys(f, "sops/age.key")
	good := file(f, "sops", "regex.yaml")
	want, err := k.OpenSOPS(good)
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"regex.yaml", "whole.yaml", "maconly.yaml", "json.json", "list.yaml", "several.yaml", "suffix.yaml", "comment.yaml"} {
		f.Add(file(f, "sops", name))
	}
	f.Add([]byte("sops: {mac: '', age: [{enc: a}]}"))
	f.Add([]byte(`{"sops": {"mac": 1}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		IsSOPS(text)
		opened, err := k.OpenSOPS(text)
		if err != nil {
			if !bytes.Contains(text, []byte(canary)) && strings.Contains(err.Error(), canary) {
				t.Errorf("the error tells the value: %v", err)
			}
			return
		}
		for _, object := range opened {
			if _, err := json.Marshal(object); err != nil {
				t.Errorf("what was opened cannot be written: %v", err)
			}
		}
		// Only what SOPS signed is told: with the MAC of the good file, nothing but its values in their order.
		if at := bytes.Index(good, []byte("    mac: ")); bytes.Contains(text, good[at:at+200]) && !slices.Equal(leaves(opened[0]), leaves(want[0])) && len(opened) == 1 {
			t.Errorf("another file is taken for the one that was signed: %v", slices.Sorted(maps.Keys(opened[0])))
		}
	})
}

// leaves are the values of an object that stand for something, sorted.
func leaves(tree any) (all []string) {
	switch v := tree.(type) {
	case map[string]any:
		for _, value := range v {
			all = append(all, leaves(value)...)
		}
	case []any:
		for _, value := range v {
			all = append(all, leaves(value)...)
		}
	case nil:
	case string:
		if v != "" {
			all = append(all, v)
		}
	default:
		all = append(all, fmt.Sprint(v))
	}
	slices.Sort(all)
	return all
}

func TestKeysAreReadAsTheyAreKept(t *testing.T) {
	ageKey, pem := file(t, "sops", "age.key"), file(t, "sealedsecrets", "b.pem")
	flux := fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: sops-age}\ndata: {identity.agekey: %s, other: YQ==}\n", base64.StdEncoding.EncodeToString(ageKey))
	for name, tt := range map[string]struct {
		text      string
		ages, rsa int
	}{
		"of age":            {string(ageKey), 1, 0},
		"several of age":    {string(ageKey) + string(file(t, "sops", "agepq.key")), 2, 0},
		"PEM":               {string(pem), 0, 1},
		"of the controller": {string(file(t, "sealedsecrets", "keys.yaml")), 0, 2},
		"of Flux":           {flux, 1, 0},
		"in documents":      {flux + "---\n" + flux, 2, 0},
		"of a kind cluster": {"# kind: the key for the kind cluster, no -----BEGIN \n" + string(ageKey), 1, 0},
		"PEM of a kind":     {"friendlyName: a\nkind: RSA\n" + string(pem), 0, 1},
		"in one line":       {`{"apiVersion":"v1","metadata":{"name":"a#b"},"kind":"Secret","data":{"a.agekey":"` + base64.StdEncoding.EncodeToString(ageKey) + `"}}`, 1, 0},
		"in the clear":      {"kind: Secret\nstringData:\n  tls.key: |\n    " + strings.ReplaceAll(string(pem), "\n", "\n    "), 0, 1},
	} {
		var k Keys
		if err := k.Add([]byte(tt.text)); err != nil || len(k.ages) != tt.ages || len(k.rsas) != tt.rsa {
			t.Errorf("%s: %d of age, %d of RSA, %v", name, len(k.ages), len(k.rsas), err)
		}
		if text := fmt.Sprintf("%v %+v %#v %s", k, k, k, k); strings.Contains(text, "SECRET") || len(text) > 100 {
			t.Errorf("%s: they print as %s", name, text)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "words": canary, "a public key": strings.Split(string(ageKey), "\n")[0], "half a key": string(ageKey[:len(ageKey)-9]), "half a PEM": string(pem[:300]),
		"a certificate": "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n", "a Secret without": "kind: Secret\ndata: {a: YQ==}", "no key in it": "kind: Secret\ndata: {tls.key: Y2FuYXJ5LTQ3}",
		"a kind of words": "# for the kind cluster\n" + canary, "no base64": "kind: Secret\ndata: {tls.key: canary-47}", "no YAML": "kind: [canary-47", "too much": strings.Repeat("a", MaxKeys+1),
	} {
		var k Keys
		if err := k.Add([]byte(text)); err == nil || strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "AGE-SECRET-KEY-1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzKeys: what is no key is refused, and none of it is told.
func FuzzKeys(f *testing.F) {
	for _, name := range []string{"sops/age.key", "sops/agepq.key", "sealedsecrets/b.pem", "sealedsecrets/keys.yaml"} {
		f.Add(file(f, strings.Split(name, "/")...))
	}
	f.Add([]byte("kind: Secret\ndata: {a.agekey: QUdFLVNFQ1JFVC1LRVktMQ==}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var k Keys
		err := k.Add(text)
		if err == nil && len(k.ages)+len(k.rsas) == 0 {
			t.Error("there is no key, and no error")
		}
		if err != nil && errors.Unwrap(err) != nil {
			t.Errorf("the error may tell the key: %v", err)
		}
	})
}
