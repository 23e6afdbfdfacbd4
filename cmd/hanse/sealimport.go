package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/secrets/foreign"
)

// importWanted reads the Secrets that -f names. Only the kernel sees more of them than this process's memory.
func importWanted(c *cli.Context) ([]sealing, error) {
	name, keys := c.String("filename"), c.StringSlice("identity")
	stdin := 0
	for _, from := range append([]string{name}, keys...) {
		if from == "-" {
			stdin++
		}
	}
	if stdin > 1 {
		return nil, usage("stdin is either what -f names, or one --identity; give the other as a file")
	}
	in := &importing{name: name, identities: keys, stdin: c.App.Reader, env: os.Getenv}
	return in.sealings()
}

// importing is what a person hands over to be sealed: a file, and where the keys are that open it.
type importing struct {
	name       string
	identities []string
	stdin      io.Reader
	env        func(string) string
	keys       *foreign.Keys
}

// sealings are the Secrets in it.
func (in *importing) sealings() (all []sealing, err error) {
	text, err := in.read(in.name, maxInput)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	documents, err := in.documents(text)
	if err != nil {
		return nil, err
	}
	for _, d := range documents {
		s, err := in.sealing(d)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, usagef("%s: there is no Secret in it", in.source())
	}
	return all, nil
}

func (in *importing) source() string { return source(in.name) }

// source is how a file is called.
func source(name string) string {
	if name == "-" {
		return "stdin"
	}
	return name
}

func (in *importing) read(name string, limit int) ([]byte, error) {
	r := in.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, usagef("%s: %s", name, innermost(err))
		}
		defer f.Close()
		r = f
	}
	text, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, usagef("%s: %s", source(name), innermost(err))
	}
	if len(text) > limit {
		return nil, usagef("%s: larger than %d MiB", source(name), limit>>20)
	}
	return text, nil
}

// documents are the objects in a text, opened if it is a file of SOPS. No error has anything of a value.
func (in *importing) documents(text []byte) (all []document, err error) {
	if !foreign.IsSOPS(text) {
		wholes, err := decoded(in.source(), text)
		if err == nil {
			err = notLeftEncrypted(wholes) // a list of SOPS is one as a whole
		}
		if err == nil {
			all, err = flattened(wholes)
		}
		if err != nil { // what is wrong may be a value: only where it is is told
			where, _, found := strings.Cut(err.Error(), ": not ")
			if !found {
				return nil, err
			}
			return nil, usagef("%s: it cannot be read as manifests; what stands there is not told, for it may be a value", where)
		}
		return all, nil
	}
	keys, err := in.opening()
	if err != nil {
		return nil, err
	}
	opened, err := keys.OpenSOPS(text)
	if err != nil {
		return nil, usagef("%s: %s", in.source(), err)
	}
	for _, object := range opened {
		items, err := flatten(document{source: in.source(), line: 1, object: object})
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
	}
	return all, nil
}

// notLeftEncrypted refuses what SOPS encrypted and nobody opened: it would be sealed as it stands.
func notLeftEncrypted(all []document) error {
	for _, d := range all {
		if foreign.IsLeftEncrypted(d.object) {
			return leftEncrypted(d)
		}
	}
	return nil
}

func leftEncrypted(d document) error {
	return usage(d.at()+": SOPS encrypted it, or a value of it, and it cannot be opened here: that wants sops.mac, no aliases, each field once, no integer over 9223372036854775807, and nothing deeper than 64 levels",
		hint{words: "let sops open it: sops decrypt FILE | hanse seal -f - …"}, hint{words: "if a value is to be ENC[AES256_GCM,… as it stands, give it as --from-file KEY=FILE"})
}

// opening are the keys that a person named, or, if none is named, those that sops would take.
func (in *importing) opening() (foreign.Keys, error) {
	if in.keys != nil {
		return *in.keys, nil
	}
	in.keys = &foreign.Keys{}
	for _, name := range in.identities {
		text, err := in.read(name, foreign.MaxKeys)
		if err != nil {
			return foreign.Keys{}, usagef("--identity %s", err)
		}
		if err := in.add("--identity "+name, text); err != nil {
			return foreign.Keys{}, err
		}
	}
	if len(in.identities) > 0 {
		return *in.keys, nil
	}
	if key := in.env("SOPS_AGE_KEY"); key != "" {
		if err := in.add("SOPS_AGE_KEY", []byte(key)); err != nil {
			return foreign.Keys{}, err
		}
	}
	return *in.keys, in.addSopsFiles()
}

func (in *importing) add(from string, text []byte) error {
	defer clear(text)
	if err := in.keys.Add(text); err != nil {
		return usagef("%s: %s", from, err)
	}
	return nil
}

// addSopsFiles adds the keys in the files where sops looks.
func (in *importing) addSopsFiles() error {
	if name := in.env("SOPS_AGE_KEY_FILE"); name != "" {
		text, err := in.read(name, foreign.MaxKeys)
		if err != nil {
			return usagef("SOPS_AGE_KEY_FILE: %s", err)
		}
		return in.add("SOPS_AGE_KEY_FILE "+name, text)
	}
	name := filepath.Join(cmp.Or(in.env("XDG_CONFIG_HOME"), filepath.Join(in.env("HOME"), ".config")), "sops", "age", "keys.txt")
	text, err := os.ReadFile(name)
	if err != nil { // there need not be one
		return nil
	}
	return in.add(name, text)
}

// imported is what is read of a Secret.
type imported struct {
	Metadata   metav1.ObjectMeta `json:"metadata"`
	Type       string            `json:"type"`
	Immutable  bool              `json:"immutable"`
	Data       map[string][]byte `json:"data"`
	StringData map[string]string `json:"stringData"`
}

// sealing is one Secret of it.
func (in *importing) sealing(d document) (s sealing, err error) {
	object, owner := d.object, ""
	switch {
	case foreign.IsSealedSecret(object):
		keys, err := in.opening()
		if err != nil {
			return s, err
		}
		if object, err = keys.Unseal(object); err != nil {
			return s, usagef("%s: %s", d.at(), err)
		}
		owner = "SealedSecret"
	case object["kind"] == "ExternalSecret":
		return s, usagef("%s: an ExternalSecret has no values; take the Secret that it makes: kubectl get secret -o yaml", d.at())
	case object["kind"] != "Secret" || object["apiVersion"] != "v1":
		return s, usagef("%s: not a Secret, nor a SealedSecret", d.at())
	}
	var secret imported
	text, err := json.Marshal(object)
	if err == nil {
		err = json.Unmarshal(text, &secret)
	}
	defer clear(text)
	if err != nil {
		return s, usagef("%s: the Secret cannot be read: a field is not of its type, or a value is not base64", d.at())
	}
	if why := bound(secret.Type); why != "" {
		return s, usagef("%s: Secret %s/%s is %s, and of use in its own cluster alone; leave it out", d.at(), secret.Metadata.Namespace, secret.Metadata.Name, why)
	}
	for _, value := range secret.Data { // a cluster's Secret that was applied as sops left it
		if foreign.IsLeftEncrypted(map[string]any{"": string(value)}) {
			return s, leftEncrypted(d)
		}
	}
	return secret.sealing(owner), nil
}

// bound says what a Secret of a type is that is made for one cluster, and by it.
func bound(kind string) string {
	switch {
	case kind == string(corev1.SecretTypeServiceAccountToken):
		return "a token of a service account"
	case strings.HasPrefix(kind, "helm.sh/"):
		return "Helm's record of a release"
	case kind == string(corev1.SecretTypeBootstrapToken):
		return "a bootstrap token"
	}
	return ""
}

func (secret imported) sealing(owner string) sealing {
	m := secret.Metadata
	s := sealing{name: m.Name, data: secret.Data, spec: v1alpha1.FleetSecretSpec{
		Namespace: m.Namespace, Type: secret.Type, Immutable: secret.Immutable, Adopt: v1alpha1.AdoptIfEqual,
	}}
	if s.data == nil {
		s.data = map[string][]byte{}
	}
	for key, text := range secret.StringData {
		s.data[key] = []byte(text)
	}
	if owner != "" {
		s.notes = append(s.notes, letGo(owner, m.Name, m))
	}
	for _, o := range m.OwnerReferences {
		s.notes = append(s.notes, letGo(o.Kind, o.Name, m))
	}
	if lost := slices.Sorted(maps.Keys(m.Labels)); len(lost) > 0 && owner == "" {
		s.notes = append(s.notes, fmt.Sprintf("Secret %s/%s has labels, which do not go with it to other clusters: %s", m.Namespace, m.Name, strings.Join(lost, ", ")))
	}
	return s
}

// letGo is what is to be done so that a Secret does not have two who write it.
func letGo(kind, name string, of metav1.ObjectMeta) string {
	command := fmt.Sprintf("kubectl delete %s %s -n %s --cascade=orphan", strings.ToLower(kind), name, of.Namespace)
	return fmt.Sprintf("Secret %s/%s is written by %s %s where that is; before the fleet brings it there, take that away and leave the Secret: %s", of.Namespace, of.Name, kind, name, command)
}
