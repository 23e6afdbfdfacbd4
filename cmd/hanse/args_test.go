package main

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestArrangePutsFlagsBeforeNames(t *testing.T) {
	for typed, want := range map[string]string{
		"get bundles":                            "get bundles",
		"get bundles -w":                         "get -w bundles",
		"get bundles shop -o json web":           "get -o json bundles shop web",
		"--server unix:///x get -w bundles":      "get --server unix:///x -w bundles",
		"-o json --watch get bundles":            "get -o json --watch bundles",
		"get bundles -ojson":                     "get -o json bundles",
		"get bundles -wo json":                   "get -w -o json bundles",
		"get bundles -wo=json":                   "get -w -o json bundles",
		"get -o=json bundles":                    "get -o=json bundles",
		"get -watch bundles":                     "get -watch bundles",
		"apply -f - --bundle shop":               "apply -f - --bundle shop",
		"apply -Rf a -f b":                       "apply -R -f a -f b",
		"token create --ttl 5m":                  "token create --ttl 5m",
		"token --ttl 5m create":                  "token create --ttl 5m",
		"get bundles -- --odd":                   "get -- bundles --odd",
		"get bundles -- odd":                     "get bundles odd",
		"delete bundle help":                     "delete bundle help",
		"--version":                              "version",
		"help get":                               "help get",
		"get --help bundles":                     "get --help",
		"remove iad --yes -h":                    "remove --help",
		"":                                       "",
		"--help":                                 "help",
		"init --fleet a --cluster b --region eu": "init --fleet a --cluster b --region eu",
	} {
		t.Run(typed, func(t *testing.T) {
			app := newApp("hanse", strings.NewReader(""), io.Discard, io.Discard)
			got, err := arrange(app, append([]string{"hanse"}, strings.Fields(typed)...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("hanse "+want, strings.TrimSpace(strings.Join(got, " "))); strings.TrimSpace(want) != "" && diff != "" {
				t.Errorf("arranged (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAgainIsTheSameCommandWithMoreTime(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"apply", "-f", "shop/"}, "apply --timeout 5m -f shop/"},
		{[]string{"apply", "--timeout", "2s", "-f", "it's here"}, `apply --timeout 5m -f 'it'\''s here'`},
		{[]string{"remove", "iad", "--timeout=1s", "--yes"}, "remove --timeout 5m --yes iad"},
		{[]string{"token", "create", "--label", "a="}, "token create --timeout 5m --label a="},
		{[]string{"apply", "--to", "tier in (a,b)", "--bundle", "x", "-f", "-"}, "apply --timeout 5m --to 'tier in (a,b)' --bundle x -f -"},
	} {
		app := newApp("hanse", strings.NewReader(""), io.Discard, io.Discard)
		if _, err := arrange(app, append([]string{"hanse"}, test.args...)); err != nil {
			t.Fatal(err)
		}
		if got := app.Metadata[metaAgain]; got != test.want {
			t.Errorf("again is %q, want %q", got, test.want)
		}
	}
}

func TestDidYouMeanKnowsTyposAndNotMore(t *testing.T) {
	words := []string{"bundles", "clusters", "works"}
	for word, want := range map[string]string{
		"bundels": "; did you mean bundles?", "cluster": "; did you mean clusters?", "wroks": "; did you mean works?",
		"WORKS": "; did you mean works?", "secrets": "", "": "",
	} {
		if got := didYouMean(word, words); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
