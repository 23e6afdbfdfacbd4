// Package foreigntest has what other tools wrote, and the keys that open it, for tests.
package foreigntest

import (
	"embed"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"

	"filippo.io/age"
)

//go:embed testdata
var files embed.FS

// Plain is what each of the files of SOPS was before; those in JSON have less of it.
const Plain = `apiVersion: v1
kind: Secret
metadata: {name: db, namespace: shop, labels: {app: shop}}
type: Opaque
stringData: {user: anna, password: canary-4711, port: "5432", empty: "", note: "two\nlines: ü 😀 <&>"}
data: {raw: /wAB/g==}
immutable: true
`

// keys make, of what lies bare, the files of keys as people have them.
var keys = map[string]func() string{
	"sops/age.key":            func() string { return "# public key: age12eaem8xd5vaz8y3l\n" + ageKey("", "age") },
	"sops/agepq.key":          func() string { return ageKey("PQ-", "agepq") },
	"sops/other.key":          otherKey,
	"sealedsecrets/b.pem":     func() string { return pemKey("RSA ", "b") },
	"sealedsecrets/keys.yaml": controllerKeys,
}

// Names are the files of keys.
func Names() (names []string) {
	for name := range keys {
		names = append(names, name)
	}
	return names
}

// File is a file that another tool wrote, or one of keys. It panics when there is none.
func File(name string) []byte {
	if key := keys[name]; key != nil {
		return []byte(key())
	}
	return wrote(name)
}

func wrote(name string) []byte {
	text, err := files.ReadFile("testdata/" + name)
	if err != nil {
		panic(err)
	}
	return text
}

func bare(name string) string { return strings.TrimSpace(string(wrote(name))) }

func ageKey(kind, name string) string {
	return strings.Join([]string{"AGE", "SECRET", "KEY", kind + "1"}, "-") + bare("sops/"+name) + "\n"
}

// otherKey is one that opens nothing.
func otherKey() string {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		panic(err)
	}
	return id.String() + "\n"
}

func pemKey(kind, name string) string {
	der, err := base64.StdEncoding.DecodeString(bare("sealedsecrets/" + name))
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind + "PRIVATE KEY", Bytes: der}))
}

// controllerKeys are the keys of a controller as kubectl prints them.
func controllerKeys() string {
	var list strings.Builder
	list.WriteString("apiVersion: v1\nkind: List\nitems:\n")
	for _, key := range []string{pemKey("RSA ", "b"), pemKey("", "a")} {
		fmt.Fprintf(&list, "- {apiVersion: v1, kind: Secret, type: kubernetes.io/tls, data: {tls.crt: YQ==, tls.key: %s}}\n", base64.StdEncoding.EncodeToString([]byte(key)))
	}
	return list.String()
}
